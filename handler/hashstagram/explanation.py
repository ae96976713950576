"""Explanation: where in a photo its hashtags were seen, and which training photos it is like."""

from collections.abc import Sequence

from torch import Tensor

from hashstagram.errors import InvalidRequestError
from hashstagram.explained import ExplainedHashtag, Explanation, SimilarPhoto
from hashstagram.heat_map import GradCam, overlay
from hashstagram.ranking import Hashtag
from hashstagram.recommender import Photo, Recommender
from hashstagram.tag_filter import NO_FILTER, TagFilter

MAX_K = 10  # a heat map each
NEIGHBOURS = 5


class Explainer:
    """Explains what a recommender recommends.

    A heat map shows what speaks for a tag in the network's own output for it. Where that is not
    the whole score (neighbours vote, usage translates), the map is of the output behind it.

    Args:
        recommender: the one whose answers are explained; nothing of it is copied or changed.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self.bundle = recommender.bundle
        self.grad_cam = GradCam(self.bundle.model, self.bundle.config.transform.input_size)

    def explain(
        self,
        photo: Photo,
        *,
        k: int = 5,
        threshold: float = 0.0,
        tag_filter: TagFilter = NO_FILTER,
    ) -> Explanation:
        """The k best hashtags, each with its heat map, and the most similar training photos.

        Raises:
            InvalidRequestError: k is more than MAX_K.
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        if k > MAX_K:
            raise InvalidRequestError(
                f"An explanation has at most {MAX_K} hashtags: ask for fewer."
            )
        image = self.recommender.decode(photo)
        inputs = self.recommender.transform(image)
        embeddings = self.recommender.embeddings(inputs.unsqueeze(0))
        [scores] = self.recommender.calibrated_scores(embeddings)
        hashtags = self.recommender.ranking.top(
            scores, k=k, threshold=threshold, tag_filter=tag_filter
        )
        return Explanation(
            hashtags=self._explained(hashtags, scores, inputs, image.size),
            neighbours=self._neighbours(embeddings),
        )

    def _explained(
        self, hashtags: Sequence[Hashtag], scores: Tensor, inputs: Tensor, size: tuple[int, int]
    ) -> tuple[ExplainedHashtag, ...]:
        if not hashtags:
            return ()
        outputs = [self._outputs(hashtag, scores) for hashtag in hashtags]
        maps = self.grad_cam(inputs.to(self.recommender.device), outputs)
        transform = self.bundle.config.transform
        pictures = (
            [None] * len(hashtags)
            if maps is None
            else [overlay(heat, size, transform) for heat in maps]
        )
        return tuple(
            ExplainedHashtag(hashtag.tag, hashtag.score, picture)
            for hashtag, picture in zip(hashtags, pictures, strict=True)
        )

    def _outputs(self, hashtag: Hashtag, scores: Tensor) -> list[int]:
        """The network's outputs behind a hashtag, given the photo's scores (tags,)."""
        config, vocabulary = self.bundle.config, self.bundle.vocabulary
        index = self.bundle.hashtags.index[hashtag.tag]
        if self.bundle.usage:
            index = self.bundle.usage.reason(index, scores)
        if config.classes is None:
            return [index]
        own = config.model.num_classes - config.classes.count
        classes = config.classes.tags.get(vocabulary.tags[index])
        return [own + number for number in classes] if classes else [index]

    def _neighbours(self, embeddings: Tensor) -> tuple[SimilarPhoto, ...]:
        index = self.bundle.neighbours
        if index is None:
            return ()
        [similarities], [rows] = index.nearest(embeddings.cpu(), NEIGHBOURS)
        return tuple(
            SimilarPhoto(
                id=f"{int(index.digests[row]) % 2**64:016x}",  # tensors hold it as a signed number
                similarity=min(1.0, float(similarity)),  # eight bits round above it
                tags=tuple(
                    self.bundle.vocabulary.decode(index.targets[row].nonzero()[:, 0].tolist())
                ),
            )
            for similarity, row in zip(similarities, rows, strict=True)
        )
