"""TorchServe with the textbook handler and its usual settings, batching as all others do."""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import BATCH, WAIT
from serving.instance import free_port
from serving.java import find_java

HANDLER = Path(__file__).with_name("torchserve_handler.py")


def write_model(folder: Path, setting: Setting) -> None:
    """What torch-model-archiver makes with --archive-format no-archive."""
    (folder / "MAR-INF").mkdir(parents=True)
    shutil.copy(HANDLER, folder)
    model = {"modelName": "hashtags", "modelVersion": "1.0", "configFile": "model-config.yaml"}
    manifest = {"runtime": "python", "model": {**model, "handler": HANDLER.name}}
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    settings = {"minWorkers": setting.workers, "maxWorkers": setting.workers}
    settings |= {"batchSize": BATCH, "maxBatchDelay": int(WAIT * 1000), "responseTimeout": 300}
    (folder / "model-config.yaml").write_text(json.dumps(settings))  # which is YAML too


def write_config(path: Path, setting: Setting) -> None:
    """config.properties."""
    settings = {
        "inference_address": f"http://127.0.0.1:{setting.port}",
        "management_address": f"http://127.0.0.1:{free_port(8081)}",
        "metrics_address": f"http://127.0.0.1:{free_port(8082)}",
        "grpc_inference_port": free_port(7070),
        "grpc_management_port": free_port(7071),
        "max_request_size": 20_000_000,
        "disable_token_authorization": "true",
        "disable_system_metrics": "true",
    }
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


if __name__ == "__main__":
    setting = Setting.from_environment()
    write_model(setting.folder / "store" / "hashtags", setting)
    write_config(setting.folder / "config.properties", setting)
    spec = importlib.util.find_spec("ts")
    assert spec is not None
    home = Path(str(spec.origin)).parent.parent
    java = [str(find_java()), f"-Djava.io.tmpdir={setting.folder}", f"-Dmodel_server_home={home}"]
    java += ["-cp", f"{home}/ts/frontend/*", "org.pytorch.serve.ModelServer"]
    java += ["--python", sys.executable, "-f", str(setting.folder / "config.properties")]
    java += ["-s", str(setting.folder / "store"), "-m", "hashtags=hashtags", "-ncs"]
    os.environ |= dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), str(setting.folder))
    os.execv(java[0], java)
