// The list of hashtags: a tap drops one, and the others move up.

const list = document.getElementById("tags");
const row = document.getElementById("tag-row");
const dropped = document.getElementById("dropped");
const droppedList = document.getElementById("dropped-tags");
const droppedTag = document.getElementById("dropped-tag");

/** Show hashtags. `address(tag)` is a hashtag's page; `on` has drop, restore and, where there is
 * one photo to look at, why. */
export function showTags(hashtags, gone, { platform, address, explained, on }) {
  list.replaceChildren(...hashtags.map((hashtag) => tagRow(hashtag, platform, address, explained, on)));
  dropped.hidden = !gone.length;
  droppedList.replaceChildren(...gone.map((hashtag) => droppedRow(hashtag, on)));
}

/** Grey rows while an answer is on its way. */
export function showWaiting(count) {
  const rows = Array.from({ length: count }, () => document.createElement("li"));
  for (const item of rows) item.className = "tag waiting";
  list.replaceChildren(...rows);
  dropped.hidden = true;
}

/** Put the focus on a row, after the one that had it is gone. */
export function focusRow(number) {
  const chips = list.querySelectorAll(".chip");
  chips[Math.min(number, chips.length - 1)]?.focus();
}

function tagRow({ tag, text, score }, platform, address, explained, on) {
  const [item] = row.content.cloneNode(true).children;
  item.dataset.tag = tag;
  const chip = item.querySelector(".chip");
  chip.style.setProperty("--score", score);
  item.querySelector(".chip-text").textContent = text;
  item.querySelector(".chip-score").textContent = `${Math.round(score * 100)} %`;
  chip.addEventListener("click", () => on.drop(tag));
  const why = item.querySelector(".why");
  why.querySelector(".name").textContent = text;
  why.setAttribute("aria-pressed", String(tag === explained));
  why.addEventListener("click", () => on.why(tag, text));
  const open = item.querySelector(".open");
  open.href = address(tag);
  open.querySelector(".name").textContent = `${text} on ${platform}`;
  return item;
}

function droppedRow({ tag, text }, on) {
  const [item] = droppedTag.content.cloneNode(true).children;
  item.querySelector(".name").textContent = text;
  item.querySelector(".back").addEventListener("click", () => on.restore(tag));
  return item;
}
