// Requests to our own server: one function sends, one error says what went wrong.

import { askForKey, keyInUse } from "./key.js";

export class Failure extends Error {
  /** status: HTTP's, 0 where no answer came. */
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether another try may end better: it was for want of a network, a key, time or a free server. */
  get mayPass() {
    return [0, 401, 408, 429, 502, 503, 504].includes(this.status);
  }
}

const AWAY = "The server cannot be reached. Is it running? Your photo is still here: try again.";
const ODD = "The server gave no useful answer. Try again in a little while.";
const LARGE = "The photo's file is too large: 20 MB at most.";

/** Send a body and get the answer: JSON, or a Blob of another type. */
export async function send(path, body, { progress, signal } = {}) {
  for (;;) {
    const key = keyInUse();
    const answer = await exchange(path, body, key, progress, signal);
    if (answer.status !== 401) return understood(answer);
    if (!(await askForKey(key))) throw new Failure(401, "This server asks for a key.");
  }
}

/** XMLHttpRequest, because fetch tells nothing of how far an upload is. */
function exchange(path, body, key, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    if (body instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = (event) => progress?.(event);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Failure(0, AWAY));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

async function understood({ status, response }) {
  const type = response?.type ?? "";
  if (status === 200 && !type.startsWith("application/json")) return response;
  const body = await response?.text().then(JSON.parse).catch(() => null);
  if (status === 200 && body) return body;
  throw new Failure(status, body?.message ?? (status === 413 ? LARGE : ODD));
}
