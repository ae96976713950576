// The page as an app: what the browser offers, offered by us where it fits.

const button = document.getElementById("install");
let offer = null;

export function offerInstalling() {
  // Only where the connection is safe; elsewhere there are no service workers.
  navigator.serviceWorker?.register("/service-worker.js");
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offer = event;
    button.hidden = false;
  });
  button.addEventListener("click", async () => {
    button.hidden = true;
    await offer.prompt();
  });
}
