// A photo of the post: its file, what travels of it, what is shown of it, and what was found.

import { Selection } from "./selection.js";
import { send } from "./server.js";

const SHORTER_SIDE = 1024; // pixels; the model looks at far fewer
const WORTHWHILE = 500_000; // bytes; below, making it smaller gains little
const SHRINKABLE = /^image\/(jpeg|png|webp)$/;
const QUALITY = 0.9;

export class Photo {
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.answer = null;
    this.failure = null;
    this.message = null; // that tells of the failure
    this.selection = null;
    this.heatMaps = new Map();
    this.upload = null;
    this.url = null;
    this.shown = show(file).then((url) => (this.url = url));
    this.asking = null;
    this.progress = null;
    this.control = new AbortController();
  }

  /** Have it tagged, without waiting until somebody wants to know. */
  start() {
    this.asking = this.ask();
    return this.asking;
  }

  /** What was started becomes of it; after that, another try. */
  recommend() {
    const started = this.asking;
    this.asking = null;
    return started ?? this.ask();
  }

  async ask() {
    this.failure = null;
    this.message?.remove();
    try {
      this.upload ??= await smaller(this.file);
      const told = { progress: (event) => this.progress?.(event), signal: this.control.signal };
      this.answer = await send("/page/hashtags", this.upload, told);
      this.selection = new Selection(this.answer.hashtags);
    } catch (failure) {
      this.failure = failure;
      throw failure;
    }
  }

  /** The address of a hashtag's heat map, null where there is none. */
  async heatMap(tag) {
    if (!this.heatMaps.has(tag)) {
      const path = `/page/explanations?tag=${encodeURIComponent(tag)}`;
      const { heat_map: png } = await send(path, this.upload);
      this.heatMaps.set(tag, png && `data:image/png;base64,${png}`);
    }
    return this.heatMaps.get(tag);
  }

  close() {
    this.control.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

/** An address that an <img> shows, upright; what the browser cannot read the server can. */
async function show(file) {
  const url = URL.createObjectURL(file);
  if (await isReadable(url)) return url;
  URL.revokeObjectURL(url);
  try {
    return URL.createObjectURL(await send("/page/preview", file));
  } catch {
    return null;
  }
}

async function isReadable(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => true, () => false);
}

/** What travels: of a large photo a smaller one, without the place where it was taken. */
async function smaller(file) {
  if (file.size < WORTHWHILE || !SHRINKABLE.test(file.type)) return file;
  try {
    const picture = await createImageBitmap(file); // upright
    const scale = SHORTER_SIDE / Math.min(picture.width, picture.height);
    const blob = scale < 1 ? await drawn(picture, scale) : file;
    picture.close();
    return blob.size < file.size ? blob : file;
  } catch {
    return file; // the server has the say
  }
}

async function drawn(picture, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // as the server has it for what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
