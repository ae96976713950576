// Where posts go: how many hashtags do well there, and where a hashtag's own page is.

export const PLATFORMS = [
  { id: "instagram", name: "Instagram", count: 5, page: (tag) => `https://www.instagram.com/explore/tags/${tag}/` },
  { id: "threads", name: "Threads", count: 1, page: (tag) => `https://www.threads.com/search?q=%23${tag}` },
  { id: "tiktok", name: "TikTok", count: 5, page: (tag) => `https://www.tiktok.com/tag/${tag}` },
  { id: "x", name: "X", count: 2, page: (tag) => `https://x.com/hashtag/${tag}` },
  { id: "bluesky", name: "Bluesky", count: 4, page: (tag) => `https://bsky.app/hashtag/${tag}` },
  { id: "mastodon", name: "Mastodon", count: 8, page: (tag) => `https://mastodon.social/tags/${tag}` },
  { id: "flickr", name: "Flickr", count: 15, page: (tag) => `https://www.flickr.com/photos/tags/${tag}` },
];

const CHOSEN = "platform";

/** The one that was chosen last in this browser. */
export function lastPlatform() {
  const id = localStorage.getItem(CHOSEN);
  return PLATFORMS.find((platform) => platform.id === id) ?? PLATFORMS[0];
}

export function rememberPlatform(platform) {
  localStorage.setItem(CHOSEN, platform.id);
}

export function pageOf(platform, tag) {
  return platform.page(encodeURIComponent(tag));
}
