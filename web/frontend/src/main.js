// The page: a post of one or several photos, and the hashtags that are kept for it.

import "./page.scss";

import { copy } from "./clipboard.js";
import { offerFeedback, showFeedback } from "./feedback.js";
import { offerInstalling } from "./installing.js";
import { complain } from "./messages.js";
import { Photo } from "./photo.js";
import { createPicker } from "./picker.js";
import { PLATFORMS, lastPlatform, pageOf, rememberPlatform } from "./platforms.js";
import { Selection, agreed } from "./selection.js";
import { takeShared } from "./sharing.js";
import { hideHeat, hideStage, showHeat, showPhoto } from "./stage.js";
import { focusRow, showTags, showWaiting } from "./tags.js";

const byId = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 56rem)"); // as in page.scss

const post = {
  photos: [], // in the order in which they came
  number: 0, // of the one on the stage
  whole: true, // whether the hashtags are of the whole post, where it has several photos
  dropped: new Set(), // from the whole post
  platform: lastPlatform(),
  explained: null, // the hashtag whose heat map is shown
};

const photoOf = (file) => post.photos.find((photo) => photo.file === file);
const onStage = () => post.photos[post.number];
const tagged = () => post.photos.filter((photo) => photo.answer);
const isWaiting = () => post.photos.some((photo) => !photo.answer && !photo.failure);
const isCarousel = () => post.photos.length > 1;

/** The hashtags that are being chosen from: the whole post's, or the photo's on the stage. */
function selection() {
  if (!isCarousel() || !post.whole) return onStage()?.selection;
  if (!tagged().length) return null;
  const whole = new Selection(agreed(tagged().map(({ answer }) => answer.hashtags)));
  whole.dropped = post.dropped;
  return whole;
}

const kept = () => selection()?.shown(post.platform.count) ?? [];

const pond = createPicker(
  byId("photos"),
  async (file, progress) => {
    photoOf(file).progress = progress;
    await photoOf(file).recommend();
  },
  { added, refused, failed, removed, tooMany },
);

function added(file) {
  const photo = new Photo(file);
  post.photos.push(photo);
  turnTo(post.photos.length - 1);
  // At once: FilePond would first draw its little pictures. It tells of a failure.
  const asking = photo.start();
  asking.then(settled, settled);
  return asking;
}

/** A photo has its answer, or failed; after the last, the first with hashtags takes a failed one's place. */
function settled() {
  const first = post.photos.findIndex(({ answer }) => answer);
  if (onStage()?.failure && first >= 0 && !isWaiting()) turnTo(first);
  else render();
}

function removed(file) {
  const photo = photoOf(file);
  if (!photo) return;
  photo.close();
  photo.message?.remove();
  post.photos = post.photos.filter((other) => other !== photo);
  if (!post.photos.length) post.dropped.clear();
  turnTo(Math.min(post.number, post.photos.length - 1));
}

/** A file that is not even sent: it leaves the list again, and the page says why. */
function refused(item, error) {
  const { main, sub } = error.main ? error : { main: "It cannot be read", sub: "" };
  complain(`${item.filename}: ${main}. ${sub}`.trim());
  pond.removeFile(item.id);
}

/** Answers whether another try may end better. */
function failed(file) {
  const photo = photoOf(file);
  if (!photo || photo.failure?.name === "AbortError") return false;
  const { message, mayPass } = photo.failure;
  photo.message = complain(`${photo.name}: ${message}`, mayPass ? again : null);
  render();
  return mayPass;

  function again() {
    const item = pond.getFiles().find((one) => one.file === file);
    if (item) pond.processFile(item.id).then(render, () => {}); // `failed` is told
  }
}

function tooMany(most) {
  complain(`A post has ${most} photos at most.`);
}

function turnTo(number) {
  post.number = Math.max(0, number);
  post.explained = null;
  if (onStage()) showPhoto(onStage(), post.number, post.photos.length);
  else hideStage();
  render();
}

function render() {
  const some = post.photos.length > 0;
  byId("post").classList.toggle("has-photos", some);
  byId("steps").hidden = some;
  byId("results").hidden = !some;
  byId("post-foot").hidden = !some;
  byId("scope").hidden = !isCarousel();
  byId("post-platform").textContent = `on ${post.platform.name}`;
  arrange();
  if (some) renderTags();
}

/** On a phone the hashtags come between the photo and what adds photos, also for the tab key. */
function arrange() {
  const panel = byId("panel");
  const above = byId(narrow.matches && post.photos.length ? "stage" : "post");
  if (panel.previousElementSibling === above) return;
  const focused = document.activeElement;
  above.after(panel);
  if (panel.contains(focused)) focused.focus();
}

function renderTags() {
  const chosen = selection();
  const waiting = isWaiting();
  if (chosen) {
    showTags(kept(), chosen.droppedOnes(), {
      platform: post.platform.name,
      address: (tag) => pageOf(post.platform, tag),
      explained: post.explained,
      on: { drop, restore, why },
    });
  } else if (waiting) showWaiting(post.platform.count);
  else showTags([], [], { on: {} });
  byId("caption").textContent = written();
  byId("where").hidden = byId("copying").hidden = !chosen && !waiting;
  byId("copy").disabled = !kept().length;
  byId("copy-text").textContent = kept().length === 1 ? "Copy 1 hashtag" : `Copy ${kept().length} hashtags`;
  say(summary(chosen, waiting));
  showFeedback(Boolean(chosen) && !(isCarousel() && post.whole));
}

const written = () => kept().map(({ text }) => text).join(" ");

function summary(chosen, waiting) {
  const broken = post.photos.filter((photo) => photo.failure).length;
  if (!chosen) return waiting ? "Looking at the photo…" : "No hashtags for this one.";
  const found = tagged().length;
  if (isCarousel() && post.whole) {
    const of = `Agreed by ${found} of ${post.photos.length} photos`;
    if (broken) return `${of}; ${broken} could not be read.`;
    return waiting ? `${of} so far…` : `${of}.`;
  }
  if (onStage().answer.abstained) return "The model is not sure about this photo: these are guesses.";
  return "Tap a hashtag to drop it.";
}

function say(text) {
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

function drop(tag) {
  const number = kept().findIndex((hashtag) => hashtag.tag === tag);
  selection().drop(tag);
  if (post.explained === tag) endWhy();
  render();
  focusRow(number);
}

function restore(tag) {
  selection().restore(tag);
  render();
  focusRow(0);
}

async function why(tag, text) {
  if (post.explained === tag) {
    endWhy();
    render();
    return;
  }
  post.explained = tag;
  markExplained();
  const photo = onStage();
  try {
    if (!photo.answer) throw new Error("This photo was not read, so there is nothing to show on it.");
    const url = await photo.heatMap(tag);
    if (post.explained === tag && photo === onStage()) showHeat(url, text);
  } catch (failure) {
    endWhy();
    markExplained();
    complain(failure.message);
  }
}

function endWhy() {
  post.explained = null;
  hideHeat();
}

/** Without drawing the list anew, which would take the focus away. */
function markExplained() {
  for (const row of byId("tags").children) {
    const pressed = row.dataset.tag === post.explained;
    row.querySelector(".why")?.setAttribute("aria-pressed", String(pressed));
  }
}

function showPlatforms() {
  for (const platform of PLATFORMS) {
    const input = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "platform",
      id: `platform-${platform.id}`,
      checked: platform === post.platform,
    });
    const label = document.createElement("label");
    label.htmlFor = input.id;
    const count = document.createElement("small");
    count.textContent = platform.count;
    label.append(platform.name, " ", count);
    input.addEventListener("change", () => {
      post.platform = platform;
      rememberPlatform(platform);
      render();
    });
    byId("platforms").append(input, label);
  }
}

byId("copy").addEventListener("click", async () => {
  const copied = await copy(written());
  if (!copied) {
    complain("The browser did not let us copy. Select the hashtags under the photo instead.");
    return;
  }
  byId("copy-text").textContent = "Copied";
  say("Copied. Paste them under your post.");
});

narrow.addEventListener("change", arrange);

byId("previous").addEventListener("click", () => turnTo((post.number || post.photos.length) - 1));
byId("next").addEventListener("click", () => turnTo((post.number + 1) % post.photos.length));

for (const value of ["post", "photo"]) {
  byId(`scope-${value}`).addEventListener("change", () => {
    post.whole = value === "post";
    endWhy();
    render();
  });
}

byId("camera").addEventListener("click", () => byId("camera-file").click());
byId("camera-file").addEventListener("change", ({ target }) => {
  pond.addFiles([...target.files]);
  target.value = "";
});

offerFeedback(
  () => ({
    photo: onStage(),
    kept: kept().map(({ tag }) => tag),
    dropped: selection().droppedOnes().map(({ tag }) => tag),
  }),
  say,
);
showPlatforms();
render();
offerInstalling();
takeShared((files) => pond.addFiles(files));
