// What is kept of the hashtags that were found, best first: a dropped one gives way to the next.

export class Selection {
  constructor(hashtags) {
    this.hashtags = hashtags;
    this.dropped = new Set();
  }

  shown(count) {
    return this.hashtags.filter(({ tag }) => !this.dropped.has(tag)).slice(0, count);
  }

  drop(tag) {
    this.dropped.add(tag);
  }

  restore(tag) {
    this.dropped.delete(tag);
  }

  droppedOnes() {
    return this.hashtags.filter(({ tag }) => this.dropped.has(tag));
  }
}

/** One list for a post of several photos: a hashtag's score is its mean over the photos. */
export function agreed(lists) {
  const found = new Map();
  for (const hashtag of lists.flat()) {
    const before = found.get(hashtag.tag)?.score ?? 0;
    found.set(hashtag.tag, { ...hashtag, score: before + hashtag.score / lists.length });
  }
  return [...found.values()].sort((one, other) => other.score - one.score);
}
