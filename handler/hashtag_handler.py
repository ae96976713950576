"""HashtagHandler: TorchServe's request rows to Recommender calls, and answers back."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from batch_metrics import BatchMetrics
from hashstagram.body import Photo
from hashstagram.errors import HashstagramError, InvalidRequestError, PredictionError
from hashstagram.explained import Explanation
from hashstagram.options import Options
from hashstagram.predictor import Predictor
from hashstagram.request import RecommendRequest, photo_bytes, request_id, share_of
from hashstagram.transforms import Pixels
from hashstagram.usage import Scores
from worker_log import log_as_json
from worker_memory import WorkerMemory

if TYPE_CHECKING:
    from hashstagram.explanation import Explainer

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Description = dict[str, Any]
Asked = RecommendRequest | Explanation | Description | HashstagramError
Result = Scores | HashstagramError
T = TypeVar("T")

PASS = 8  # photos that are decoded and go through the network at once: it bounds the memory


class HashtagHandler:
    """The one class of this module, as TorchServe wants it.

    It derives from nothing of TorchServe's: the archive needs no more of the server than the
    context that is handed in. One bad photo gets its own 4xx, the others their answers.
    """

    predictor: Predictor
    decoders: ThreadPoolExecutor | None = None  # where there is one thread, none is needed
    metrics: BatchMetrics
    model: str
    version: str

    def __init__(self) -> None:
        self.memory = WorkerMemory()

    def initialize(self, context: Any) -> None:
        """Load the bundle from the unpacked archive, and run it in the batch sizes to come.

        Raises:
            ValueError: whatever went wrong. TorchServe withdraws a model that fails with this
                type, and leaves one that fails with RuntimeError registered without a worker.
        """
        self.model = context.manifest["model"]["modelName"]
        self.version = str(context.manifest["model"]["modelVersion"])
        log_as_json(__name__, "hashstagram", model=self.model, version=self.version)
        self.metrics = BatchMetrics(context.metrics, self.model, self.version)
        try:
            self._load(context)
        except Exception as err:
            raise ValueError(f"{self.model} {self.version} does not load: {err}") from err
        told = (self.model, self.version, self.predictor.engine.told)
        logger.info("%s %s is ready: %s", *told)

    def _load(self, context: Any) -> None:
        """The predictor that model-config.yaml and TorchServe ask for, warm."""
        settings = context.model_yaml_config or {}
        threads = _threads(settings)
        device = _device(context)
        if device == "cpu" and settings.get("deviceType") == "gpu":
            logger.warning("model-config.yaml asks for a GPU, and there is none: using the CPU")
        self.predictor = Predictor.load(
            context.system_properties["model_dir"],
            device=device,
            precision=settings.get("handler", {}).get("precision", "auto"),
            threads=threads,
        )
        self.predictor.warm_up({1, PASS} if device == "cpu" else range(1, PASS + 1))
        if threads > 1:
            self.decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    @cached_property
    def explainer(self) -> "Explainer":
        """Made when somebody first asks for an explanation: most workers' callers never do."""
        from hashstagram.explanation import Explainer  # and with it PyTorch

        return Explainer(self.predictor.recommender)

    def handle(self, data: Sequence[Row], context: Any) -> list[str]:
        """A batch of request rows to as many JSON texts, each with its own status."""
        self.memory.give_back()  # what the batches before have left
        requests = self.preprocess(data, context)
        photos = [
            (photo, share_of(len(request.photos)))
            for request in requests
            if isinstance(request, RecommendRequest)
            for photo in request.photos
        ]
        results = self.inference(photos)
        self._count(requests, results)
        with self.metrics.stage("postprocess"):
            return self.postprocess(requests, results, context)

    def preprocess(self, data: Sequence[Row], context: Any) -> list[Asked]:
        """Each row to what it asks for, or to the explanation, description or error it gets."""
        return [
            _attempt(self._read, row, context.get_all_request_header(index))
            for index, row in enumerate(data)
        ]

    def _read(
        self, row: Row, headers: Mapping[str, Any]
    ) -> RecommendRequest | Explanation | Description:
        if headers.get("describe") == "True":
            return self.describe()
        request = RecommendRequest.from_row(row, headers)
        if headers.get("explain") == "True":  # TorchServe's, for /explanations
            return self.explain(request)
        return request

    def explain(self, request: RecommendRequest) -> Explanation:
        """One photo's hashtags with heat maps, and the training photos it is like."""
        if request.several:
            raise InvalidRequestError("Send one photo for an explanation.")
        options = request.options
        with self.metrics.stage("explanation"):
            return self.explainer.explain(
                photo_bytes(request.photos[0]),
                k=options.k,
                threshold=options.threshold,
                tag_filter=options.tag_filter,
            )

    def inference(self, photos: Sequence[tuple[Photo, float]]) -> list[Result]:
        """Each photo, with its share of the limits, to its scores (tags,), or to its own error."""
        results: list[Result] = []
        for start in range(0, len(photos), PASS):
            with self.metrics.stage("decode"):
                inputs = list(self._each(self._input, photos[start : start + PASS]))
            with self.metrics.stage("inference"):
                results += self._pass(inputs)
        return results

    def _each(self, step: Callable[..., T], items: Sequence[tuple[Any, ...]]) -> Iterable[T]:
        """A step for each item, in all threads: Pillow lets go of Python's lock meanwhile."""
        if self.decoders is None or len(items) < 2:
            return [step(*item) for item in items]
        return self.decoders.map(lambda item: step(*item), items)

    def _input(self, photo: Photo, share: float) -> Pixels | HashstagramError:
        return _attempt(lambda: self.predictor.preprocess(photo_bytes(photo), share=share))

    def _pass(self, inputs: Sequence[Pixels | HashstagramError]) -> list[Result]:
        """One pass of the network over the inputs among these; errors stay where they stand."""
        good = [each for each in inputs if isinstance(each, np.ndarray)]
        if not good:
            return [each for each in inputs if isinstance(each, HashstagramError)]
        scores = _attempt(self.predictor.scores, np.stack(good))
        if isinstance(scores, HashstagramError):
            return [scores if isinstance(each, np.ndarray) else each for each in inputs]
        rows = iter(scores)
        return [next(rows) if isinstance(each, np.ndarray) else each for each in inputs]

    def _count(self, requests: Sequence[Asked], results: Sequence[Result]) -> None:
        self.metrics.batch(len(requests))
        ranking = self.predictor.ranking
        scores = [result for result in results if isinstance(result, np.ndarray)]
        best = [ranking.top(photo, k=1)[0].score for photo in scores]
        self.metrics.answered(best, sum(score < ranking.abstain_below for score in best))
        self.metrics.refused(
            type(error).__name__
            for error in (*requests, *results)
            if isinstance(error, HashstagramError)
        )

    def postprocess(
        self, requests: Sequence[Asked], results: Sequence[Result], context: Any
    ) -> list[str]:
        """Requests, and their photos' results in order, to JSON with status and content type."""
        texts = []
        rest = iter(results)
        for index, request in enumerate(requests):
            photos = len(request.photos) if isinstance(request, RecommendRequest) else 0
            own = list(islice(rest, photos))
            known_as = _request_id(context, index)
            for error in (request, *own):
                if isinstance(error, HashstagramError):
                    _log(error, known_as)
            answer = self._answer(request, own, known_as)
            context.set_response_content_type(index, "application/json")
            if isinstance(answer, HashstagramError):
                context.set_response_status(answer.status, type(answer).__name__, index)
                answer = answer.body()
            texts.append(json.dumps(answer))
        return texts

    def _answer(
        self, request: Asked, results: Sequence[Result], known_as: str | None
    ) -> dict[str, Any] | HashstagramError:
        head = {"model": self.model, "version": self.version, "request_id": known_as}
        if isinstance(request, Explanation):
            return head | request.body()
        if not isinstance(request, RecommendRequest):
            return request
        if request.several:
            return head | {"results": [self._item(each, request.options) for each in results]}
        [result] = results
        if isinstance(result, HashstagramError):
            return result
        return head | self._hashtags(result, request.options)

    def _item(self, result: Result, options: Options) -> dict[str, Any]:
        """One of several photos' results, with the status that it would have had alone."""
        if isinstance(result, HashstagramError):
            return {"status": result.status, "error": result.body()}
        return {"status": 200, **self._hashtags(result, options)}

    def _hashtags(self, scores: np.ndarray, options: Options) -> dict[str, Any]:
        best = self.predictor.ranking.top(
            scores, k=options.k, threshold=options.threshold, tag_filter=options.tag_filter
        )
        return {
            "hashtags": [{"tag": h.tag, "score": round(h.score, 4)} for h in best],
            "abstained": self.predictor.ranking.abstains(scores, options.tag_filter),
        }

    def describe(self) -> dict[str, Any]:
        """What the management API shows for ?customized=true: the model and its vocabulary."""
        config = self.predictor.config
        return {
            "model": self.model,
            "version": self.version,
            "bundle": config.name,
            "architecture": config.architecture,
            "engine": self.predictor.engine.told,
            "input_size": config.transform.input_size,
            "tags": list(self.predictor.ranking.hashtags.tags),
        }


def _attempt(step: Callable[..., T], *args: Any) -> T | HashstagramError:
    """The edge of one item: whatever goes wrong in here stays with this item."""
    try:
        return step(*args)
    except HashstagramError as err:
        err.__cause__ = err.__context__ = None
        return err.with_traceback(None)  # whose frames hold the photo until the batch ends
    except Exception as failure:  # MemoryError is one too
        clear_frames(failure.__traceback__)  # likewise; its lines stay for the log
        error = PredictionError("The photo could not be processed. Try another one.")
        error.__cause__ = failure
        return error


def _request_id(context: Any, index: int) -> str | None:
    """What a request is known as: the caller's or the front's id for it, else the server's."""
    theirs = request_id(context.get_all_request_header(index))
    return theirs or context.get_request_id(index)


def _log(error: HashstagramError, known_as: str | None) -> None:
    """One line for each photo or request that is refused; a traceback where the fault is ours."""
    told = {"request_id": known_as, "reason": type(error).__name__}
    if isinstance(error, PredictionError):
        logger.error("failed", exc_info=error.__cause__, extra=told)
    else:
        logger.info("refused", extra=told)


def _threads(settings: Mapping[str, Any]) -> int:
    """Threads for one worker: all cores shared among the workers, unless the YAML says how many.

    "All" are those of OMP_NUM_THREADS where it is set, if there are so many. What TorchServe and
    the engines do by themselves, workers × cores threads, is several times slower.
    """
    workers = int(settings.get("minWorkers", 1))
    asked = int(settings.get("handler", {}).get("threads", 0))
    cores = len(os.sched_getaffinity(0))
    given = min(int(os.environ.get("OMP_NUM_THREADS") or cores), cores)
    return asked or max(1, given // workers)


def _device(context: Any) -> str:
    """The GPU that TorchServe gives this worker, if there is one; it deals them out in turn."""
    gpu = context.system_properties.get("gpu_id")
    if gpu is None:
        return "cpu"
    import torch

    return f"cuda:{gpu}" if torch.cuda.is_available() else "cpu"
