"""HashtagHandler: TorchServe's request rows to Recommender calls, and answers back."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image

from hashstagram.body import Photo
from hashstagram.errors import HashstagramError, PredictionError
from hashstagram.options import Options
from hashstagram.recommender import Recommender
from hashstagram.request import RecommendRequest, photo_bytes, share_of

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Description = dict[str, Any]
T = TypeVar("T")

PASS = 8  # photos that are decoded and go through the network at once: it bounds the memory


class HashtagHandler:
    """The one class of this module, as TorchServe wants it.

    It derives from nothing of TorchServe's: the archive needs no more of the server than the
    context that is handed in. One bad photo gets its own 4xx, the others their answers.
    """

    recommender: Recommender
    model: str
    version: str

    def initialize(self, context: Any) -> None:
        """Load the bundle from the unpacked archive and run it once.

        Raises:
            ValueError: the bundle does not load. TorchServe withdraws a model that fails with
                this type, and leaves one that fails with another registered without a worker.
        """
        settings = context.model_yaml_config or {}
        torch.set_num_threads(_threads(settings))
        directory = Path(context.system_properties["model_dir"])
        try:
            self.recommender = Recommender.from_pretrained(directory, device=_device(context))
        except HashstagramError as err:
            raise ValueError(str(err)) from err
        self.model = context.manifest["model"]["modelName"]
        self.version = str(context.manifest["model"]["modelVersion"])
        self.recommender.recommend([Image.new("RGB", (256, 256))])
        logger.info("%s %s is ready", self.model, self.version)

    def handle(self, data: Sequence[Row], context: Any) -> list[str]:
        """A batch of request rows to as many JSON texts, each with its own status."""
        requests = self.preprocess(data, context)
        photos = [
            (photo, share_of(len(request.photos)))
            for request in requests
            if isinstance(request, RecommendRequest)
            for photo in request.photos
        ]
        return self.postprocess(requests, iter(self.inference(photos)), context)

    def preprocess(
        self, data: Sequence[Row], context: Any
    ) -> list[RecommendRequest | Description | HashstagramError]:
        """Each row to what it asks for, or to the description or error that answers it."""
        return [
            _attempt(self._read, row, context.get_all_request_header(index))
            for index, row in enumerate(data)
        ]

    def _read(self, row: Row, headers: Mapping[str, Any]) -> RecommendRequest | Description:
        if headers.get("describe") == "True":
            return self.describe()
        return RecommendRequest.from_row(row, headers)

    def inference(
        self, photos: Sequence[tuple[Photo, float]]
    ) -> list[torch.Tensor | HashstagramError]:
        """Each photo, with its share of the limits, to its scores (tags,), or to its own error."""
        results: list[torch.Tensor | HashstagramError] = []
        for start in range(0, len(photos), PASS):
            results += self._pass([_attempt(self._input, *p) for p in photos[start : start + PASS]])
        return results

    def _input(self, photo: Photo, share: float) -> torch.Tensor:
        return self.recommender.preprocess(photo_bytes(photo), share=share)

    def _pass(
        self, inputs: Sequence[torch.Tensor | HashstagramError]
    ) -> list[torch.Tensor | HashstagramError]:
        """One pass of the network over the inputs among these; errors stay where they stand."""
        good = [each for each in inputs if isinstance(each, torch.Tensor)]
        if not good:
            return list(inputs)
        scores = _attempt(self.recommender.scores, torch.stack(good))
        if isinstance(scores, HashstagramError):
            return [scores if isinstance(each, torch.Tensor) else each for each in inputs]
        rows = iter(scores)
        return [next(rows) if isinstance(each, torch.Tensor) else each for each in inputs]

    def postprocess(
        self,
        requests: Sequence[RecommendRequest | Description | HashstagramError],
        results: Iterator[torch.Tensor | HashstagramError],
        context: Any,
    ) -> list[str]:
        """Requests, and their photos' results in order, to JSON with status and content type."""
        texts = []
        for index, request in enumerate(requests):
            answer = request
            if isinstance(request, RecommendRequest):
                own = list(islice(results, len(request.photos)))
                answer = self._answer(request, own, context.get_request_id(index))
            context.set_response_content_type(index, "application/json")
            if isinstance(answer, HashstagramError):
                context.set_response_status(answer.status, type(answer).__name__, index)
                answer = answer.body()
            texts.append(json.dumps(answer))
        return texts

    def _answer(
        self,
        request: RecommendRequest,
        results: Sequence[torch.Tensor | HashstagramError],
        server_request_id: str | None,
    ) -> dict[str, Any] | HashstagramError:
        head = {
            "model": self.model,
            "version": self.version,
            "request_id": request.request_id or server_request_id,
        }
        if request.several:
            return head | {"results": [self._item(each, request.options) for each in results]}
        [result] = results
        if isinstance(result, HashstagramError):
            return result
        return head | self._hashtags(result, request.options)

    def _item(self, result: torch.Tensor | HashstagramError, options: Options) -> dict[str, Any]:
        """One of several photos' results, with the status that it would have had alone."""
        if isinstance(result, HashstagramError):
            return {"status": result.status, "error": result.body()}
        return {"status": 200, **self._hashtags(result, options)}

    def _hashtags(self, scores: torch.Tensor, options: Options) -> dict[str, Any]:
        best = self.recommender.top(
            scores, k=options.k, threshold=options.threshold, tag_filter=options.tag_filter
        )
        return {
            "hashtags": [{"tag": h.tag, "score": round(h.score, 4)} for h in best],
            "abstained": self.recommender.abstains(scores),
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


def _attempt(step: Callable[..., T], *args: Any) -> T | HashstagramError:
    """The edge of one item: whatever goes wrong in here stays with this item."""
    try:
        return step(*args)
    except HashstagramError as err:
        err.__cause__ = err.__context__ = None
        return err.with_traceback(None)  # whose frames hold the photo until the batch ends
    except Exception:  # MemoryError is one too
        logger.exception("a photo could not be processed")
        return PredictionError("The photo could not be processed. Try another one.")


def _threads(settings: Mapping[str, Any]) -> int:
    """Threads for one worker: all cores shared among the workers, unless the YAML says how many.

    TorchServe's and PyTorch's own defaults together start workers × cores threads, which is
    several times slower than one thread a core.
    """
    workers = int(settings.get("minWorkers", 1))
    asked = int(settings.get("handler", {}).get("threads", 0))
    return asked or max(1, (os.cpu_count() or 1) // workers)


def _device(context: Any) -> str:
    gpu = context.system_properties.get("gpu_id")
    return f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu"
