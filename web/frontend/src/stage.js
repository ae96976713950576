// The stage: one of the post's photos, and over it where a hashtag was seen.

const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const picture = byId("photo");
const heat = byId("heat");
const note = byId("stage-note");

let wanted = null;

/** Show a photo, the numberth of so many. */
export async function showPhoto(photo, number, count) {
  stage.hidden = false;
  for (const id of ["previous", "next", "counter"]) byId(id).hidden = count < 2;
  byId("counter").textContent = `${number + 1} / ${count}`;
  picture.alt = count > 1 ? `Photo ${number + 1} of ${count}: ${photo.name}` : `Your photo ${photo.name}`;
  hideHeat();
  wanted = photo;
  const url = await photo.shown;
  if (wanted !== photo) return; // another one meanwhile
  picture.hidden = !url;
  if (url) picture.src = url;
  else say("This photo cannot be shown.");
}

export function showHeat(url, text) {
  heat.hidden = !url;
  if (url) heat.src = url;
  heat.alt = url ? `Heat map: where the model saw ${text}` : "";
  say(url ? `Where the model saw ${text}` : `No part of the photo speaks for ${text}: photos that look alike do.`);
}

export function hideHeat() {
  heat.hidden = true;
  heat.alt = "";
  say("");
}

export function hideStage() {
  stage.hidden = true;
  wanted = null;
  picture.removeAttribute("src");
  hideHeat();
}

function say(text) {
  note.textContent = text;
  note.hidden = !text;
}
