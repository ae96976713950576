// The caller's key, where the server asks for one: kept in this browser, sent by nobody but us.

const KEPT = "key";
const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const forget = document.getElementById("forget-key");

let asking = null;

export function keyInUse() {
  return localStorage.getItem(KEPT);
}

/** Ask for a key after one, or none, was refused; whether there is another one to try now. */
export function askForKey(refused) {
  if (keyInUse() !== refused) return Promise.resolve(true); // another photo's upload has asked
  asking ??= ask(refused).finally(() => (asking = null));
  return asking;
}

function ask(refused) {
  const text = document.getElementById("key-text");
  if (refused) text.textContent = "The key was not accepted. Look at it again, or ask for another one.";
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem(KEPT, field.value.trim());
  showForget();
  dialog.close("given");
});

document.getElementById("key-cancel").addEventListener("click", () => dialog.close());

forget.addEventListener("click", () => {
  localStorage.removeItem(KEPT);
  showForget();
});

function showForget() {
  forget.hidden = !keyInUse();
}

showForget();
