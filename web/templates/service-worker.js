// Shows the page without a network, and takes the photos that other apps share with it.
const CACHE = "shell-{{ assets.version }}";
const SHELL = ["/", {% for path in assets.shell %}"/static/{{ path }}", {% endfor %}"/manifest.webmanifest"];
const SHARED = "shared";
const MOST_SHARED = 20;

addEventListener("install", (event) => {
  const kept = caches.open(CACHE).then((cache) => cache.addAll(SHELL));
  event.waitUntil(kept.then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil(removeOldShells().then(() => clients.claim()));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== location.origin) return;
  if (request.method === "POST") {
    // In a window of its own only: no frame of another site's gets anything in.
    const inWindow = request.mode === "navigate" && request.destination === "document";
    if (url.pathname === "/share" && inWindow) event.respondWith(receive(request));
  } else if (request.mode === "navigate") {
    event.respondWith(page(request));
  } else if (url.pathname.startsWith("/static/")) {
    event.respondWith(caches.match(request).then((kept) => kept || fetch(request)));
  }
});

async function removeOldShells() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("shell-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** The page as it is now, or as it was when there is no network. */
async function page(request) {
  try {
    const answer = await fetch(request);
    if (answer.status < 500) return answer;
  } catch {
    // no network
  }
  return (await caches.match("/")) || Response.error();
}

/** Lay the photos down for the page, which asks before it does anything with them: any site can
 * have a browser send us a form, and here nothing tells whose it was. */
async function receive(request) {
  try {
    const form = await request.formData();
    const files = form.getAll("photos").filter((file) => file instanceof File && file.size);
    await caches.delete(SHARED);
    const cache = await caches.open(SHARED);
    for (const [number, file] of files.slice(0, MOST_SHARED).entries()) {
      const headers = { "Content-Type": file.type, "X-Name": encodeURIComponent(file.name) };
      await cache.put(`/shared/${number}`, new Response(file, { headers }));
    }
    return Response.redirect("/?shared=photos", 303);
  } catch {
    return Response.redirect("/?shared=lost", 303);
  }
}
