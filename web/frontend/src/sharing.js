// Photos from other apps: the service worker laid them down, and here they are taken up.

import { complain } from "./messages.js";

const SHARED = "shared";
const LOST = "The shared photo did not arrive, because the page was just being set up. Share it once more.";
const dialog = document.getElementById("share-dialog");

/** Hand over what was shared. Any site can have a browser send us a form, so we ask first: but not
 * in the window of the installed app, where only the device's share menu opens this address. */
export async function takeShared(add) {
  const how = new URLSearchParams(location.search).get("shared");
  if (!how) return;
  history.replaceState(null, "", "/");
  const files = how === "photos" ? await takeFiles() : [];
  if (!files.length) complain(LOST);
  else if (isInstalled() || (await isWanted(files))) add(files);
}

function isInstalled() {
  return matchMedia("(display-mode: standalone)").matches;
}

async function takeFiles() {
  const cache = await caches.open(SHARED);
  const answers = await Promise.all((await cache.keys()).map((request) => cache.match(request)));
  await caches.delete(SHARED);
  return Promise.all(answers.map(fileOf));
}

async function fileOf(answer) {
  const name = decodeURIComponent(answer.headers.get("X-Name") ?? "");
  return new File([await answer.blob()], name, { type: answer.headers.get("Content-Type") ?? "" });
}

function isWanted(files) {
  const count = files.length === 1 ? "One photo was" : `${files.length} photos were`;
  document.getElementById("share-text").textContent = `${count} shared with this page.`;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
