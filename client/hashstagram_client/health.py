"""Health: what the front, or TorchServe where there is none, says about its readiness."""

from hashstagram_client.errors import ClientError, RequestRefusedError
from hashstagram_client.results import Health
from hashstagram_client.transport import Request, Transport


def ask(transport: Transport, model: str) -> Health:
    """Ask once: a server that is not ready says so, and that is the answer."""
    deadline = transport.deadline()
    try:
        transport.try_once(Request("GET", "/healthz"), deadline)
    except RequestRefusedError:  # TorchServe knows no such path
        return _of_torchserve(transport, model, deadline)
    except ClientError as err:
        return Health(ready=False, reason=str(err))
    return Health(ready=True)


def _of_torchserve(transport: Transport, model: str, deadline: float) -> Health:
    """The state of the model's workers; elsewhere than beside the server only what /ping says.

    /ping is good before any model is loaded.
    """
    management = transport.connection.management_api()
    try:
        if management is None:
            transport.try_once(Request("GET", "/ping"), deadline)
            return Health(ready=True)
        beside = Transport(management, timeout=transport.timeout, retries=0)
        [described] = beside.try_once(Request("GET", f"/models/{model}"), deadline)
        beside.close()
        ready = any(worker["status"] == "READY" for worker in described["workers"])
    except ClientError as err:
        return Health(ready=False, reason=str(err))
    return Health(ready, "" if ready else f"no worker of {model} is ready")
