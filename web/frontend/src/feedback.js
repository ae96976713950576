// Feedback, where the server takes it: what was kept and dropped of one photo, when asked to.

import { complain } from "./messages.js";
import { send } from "./server.js";

const form = document.getElementById("feedback");

/** Offer to send the opinion that `current()` gives: {photo, kept, dropped}. */
export function offerFeedback(current, say) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("/page/feedback", written(current()));
      form.hidden = true;
      say("Thank you. That helps.");
    } catch (failure) {
      complain(failure.message);
    }
  });
}

export function showFeedback(wanted) {
  if (form) form.hidden = !wanted;
}

function written({ photo, kept, dropped }) {
  const { model, version } = photo.answer;
  const body = new FormData();
  body.set("opinion", JSON.stringify({ model, version, kept, dropped }));
  if (document.getElementById("feedback-photo").checked) body.set("photo", photo.upload, "photo");
  return body;
}
