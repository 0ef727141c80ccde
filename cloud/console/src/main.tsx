/** One page a role, drawn into `#app`, and one for engineers; which one is in the path. */
import "./styles/tokens.css";
import "./styles/base.css";
import { render } from "preact";
import { type Place, readPlace } from "./link/rolelink";
import { NoPlace } from "./pages/gate";

async function page(place: Place) {
  switch (place.page) {
    case "operate":
      return (await import("./pages/operate")).operate(place);
    case "bedside":
      return (await import("./pages/bedside")).bedside(place);
    case "field":
      return (await import("./pages/field")).field(place);
    case "audit":
      return (await import("./pages/audit")).audit(place);
    case "line":
      return (await import("./pages/line")).line(place);
  }
}

async function draw(): Promise<void> {
  const root = document.getElementById("app");
  if (root === null) return;
  if (/^\/simulator(\/|$)/.test(location.pathname)) {
    document.documentElement.dataset["theme"] = "dark";
    document.title = "Simulator · Farhand";
    return render((await import("./pages/simulator")).simulator(location.hash), root);
  }
  const place = readPlace(location.pathname);
  document.documentElement.dataset["theme"] = place?.page === "operate" ? "dark" : "light";
  const title = place ? `${place.page.charAt(0).toUpperCase()}${place.page.slice(1)} · Farhand` : "Farhand";
  document.title = title;
  render(place === undefined ? <NoPlace /> : await page(place), root);
}

void draw();
