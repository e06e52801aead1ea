// Keeps a page up to date while it is looked at: after each event of its stream it reads the page
// again and shows its new text. The page is rendered on the server alone.
const place = document.getElementById("live");
let reading = false;
let again = false;

async function refresh() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    do {
      again = false;
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("live");
        if (fresh) {
          if (!fresh.dataset.stream) stream.close(); // the job has ended
          place.replaceChildren(...fresh.childNodes);
        }
      }
    } while (again);
  } catch {
    // The server is away. The stream connects again, and the next event refreshes.
  } finally {
    reading = false;
  }
}

const stream = new EventSource(place.dataset.stream);
for (const name of place.dataset.events.split(" ")) {
  stream.addEventListener(name, refresh);
}
stream.addEventListener("error", () => {
  if (stream.readyState === EventSource.CLOSED) refresh();
});
