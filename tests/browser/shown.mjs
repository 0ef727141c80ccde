// How long after its capture a picture is shown in Chromium, by the page's own reckoning (glass.mjs holds that against the
// pixels). Within a run the camera's and the display's phase stand still, so the figure differs from run to run by up to one
// refresh and more. Prints one JSON object; `farhand bench video` reads it.
//
//   node tests/browser/shown.mjs [SOURCE]
import { setTimeout as sleep } from "node:timers/promises";
import { chromiumForTests, up, watching, withTest } from "./stage.mjs";

const WATCHED_MS = 20_000;
const [source = "test?width=1280&height=720&fps=30"] = process.argv.slice(2);

const browser = await chromiumForTests();
const site = await up(1, { stamp: false, options: ["--video", source] });
try {
  // Without reading pixels, as a surgeon has it.
  const surgeon = await watching(browser, site, withTest);
  // The two clocks have met by then.
  await sleep(2_000);
  const shown = new Map();
  const end = Date.now() + WATCHED_MS;
  while (Date.now() < end) {
    await sleep(500);
    for (const { frame, glassToGlassMs } of await surgeon.evaluate(() => window.farhand.samples)) {
      if (typeof glassToGlassMs === "number") shown.set(frame, glassToGlassMs);
    }
  }
  console.log(JSON.stringify({ source, browser: `Chromium ${browser.version()}`, watched_s: WATCHED_MS / 1000, shown_ms: [...shown.values()] }));
} finally {
  await browser.close();
  await site.end();
}
