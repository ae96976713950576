"""HashtagHandler: TorchServe's request rows to Recommender calls, and answers back."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hashstagram.errors import HashstagramError, PredictionError
from hashstagram.recommender import Hashtag, Recommender
from hashstagram.request import RecommendRequest

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Prepared = tuple[RecommendRequest, torch.Tensor]


class HashtagHandler:
    """The one class of this module, as TorchServe wants it.

    It derives from nothing of TorchServe's: the archive needs no more of the server than the
    context that is handed in. One bad photo gets its own 4xx, the others their answers.
    """

    recommender: Recommender
    model: str
    version: str

    def initialize(self, context: Any) -> None:
        """Load the bundle from the unpacked archive, and run it in the batch sizes to come.

        Raises:
            ValueError: whatever went wrong. TorchServe withdraws a model that fails with this
                type, and leaves one that fails with RuntimeError registered without a worker.
        """
        self.model = context.manifest["model"]["modelName"]
        self.version = str(context.manifest["model"]["modelVersion"])
        try:
            self.recommender = _load(context)
        except Exception as err:
            raise ValueError(f"{self.model} {self.version} does not load: {err}") from err
        logger.info(
            "%s %s is ready on %s in %s",
            *(self.model, self.version, self.recommender.device, self.recommender.precision),
        )

    def handle(self, data: Sequence[Row], context: Any) -> list[str]:
        """A batch of request rows to as many JSON texts, each with its own status."""
        items = self.preprocess(data, context)
        hashtags = iter(self.inference([item for item in items if isinstance(item, tuple)]))
        answers = [next(hashtags) if isinstance(item, tuple) else item for item in items]
        return self.postprocess(answers, context)

    def preprocess(self, data: Sequence[Row], context: Any) -> list[Prepared | Any]:
        """Each row to its request and input tensor, or to the error or answer that it gets."""
        return [
            self._prepare(row, context.get_all_request_header(index))
            for index, row in enumerate(data)
        ]

    def _prepare(self, row: Row, headers: Mapping[str, Any]) -> Prepared | Any:
        # The edge of one item: whatever goes wrong here stays with this item.
        try:
            if headers.get("describe") == "True":
                return self.describe()
            request = RecommendRequest.from_row(row, headers)
            return request, self.recommender.preprocess(request.photo)
        except HashstagramError as err:
            return err
        except (Exception, MemoryError):
            logger.exception("a photo could not be prepared")
            return PredictionError("The photo could not be processed. Try another one.")

    def inference(self, prepared: Sequence[Prepared]) -> list[list[Hashtag]]:
        """One pass of the network over the batch, then each request's best hashtags."""
        if not prepared:
            return []
        scores = self.recommender.scores(torch.stack([tensor for _, tensor in prepared]))
        return [
            self.recommender.top(row, k=request.k, threshold=request.threshold)
            for (request, _), row in zip(prepared, scores, strict=True)
        ]

    def postprocess(self, answers: Sequence[Any], context: Any) -> list[str]:
        """Hashtags, descriptions and errors to JSON, with status and content type set."""
        texts = []
        for index, answer in enumerate(answers):
            context.set_response_content_type(index, "application/json")
            if isinstance(answer, HashstagramError):
                context.set_response_status(answer.status, type(answer).__name__, index)
            texts.append(json.dumps(self._body(answer, context.get_request_id(index))))
        return texts

    def _body(self, answer: Any, request_id: str | None) -> dict[str, Any]:
        if isinstance(answer, HashstagramError):
            return answer.body()
        if isinstance(answer, dict):
            return answer
        return {
            "model": self.model,
            "version": self.version,
            "request_id": request_id,
            "hashtags": [{"tag": h.tag, "score": round(h.score, 4)} for h in answer],
        }

    def describe(self) -> dict[str, Any]:
        """What the management API shows for ?customized=true: the model and its vocabulary."""
        bundle = self.recommender.bundle
        return {
            "model": self.model,
            "version": self.version,
            "bundle": bundle.config.name,
            "architecture": bundle.config.model.architecture,
            "input_size": bundle.config.transform.input_size,
            "tags": list(bundle.hashtags.tags),
        }


def _load(context: Any) -> Recommender:
    """The recommender that model-config.yaml and TorchServe ask for, warm."""
    settings = context.model_yaml_config or {}
    torch.set_num_threads(_threads(settings))
    device = _device(context)
    if device == "cpu" and settings.get("deviceType") == "gpu":
        logger.warning("model-config.yaml asks for a GPU, and there is none: running on the CPU")
    recommender = Recommender.from_pretrained(
        context.system_properties["model_dir"],
        device=device,
        precision=settings.get("handler", {}).get("precision", "auto"),
    )
    recommender.warm_up(int(context.system_properties.get("batch_size") or 1))
    return recommender


def _threads(settings: Mapping[str, Any]) -> int:
    """Threads for one worker: all cores shared among the workers, unless the YAML says how many.

    "All" are those of OMP_NUM_THREADS where it is set: that is what PyTorch starts with.
    TorchServe's and PyTorch's own defaults together start workers × cores threads, which is
    several times slower than one thread a core.
    """
    workers = int(settings.get("minWorkers", 1))
    asked = int(settings.get("handler", {}).get("threads", 0))
    return asked or max(1, torch.get_num_threads() // workers)


def _device(context: Any) -> str:
    """The GPU that TorchServe gives this worker, if there is one; it deals them out in turn."""
    gpu = context.system_properties.get("gpu_id")
    return f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu"
