// How long after its capture a picture is shown in Chromium, by the page's own reckoning (glass.mjs holds that against the
// pixels): `called_ms` when the browser calls back for it (`requestVideoFrameCallback`), `shown_ms` when it is expected on the screen.
// What a browser expects is the moment of the call or one refresh later, and the camera's and the display's phase stand still within a
// run, so that `shown_ms` differs from run to run by one refresh and more. Prints one JSON object; `farhand bench video` reads it.
//
//   node tests/browser/shown.mjs [SOURCE]
import { setTimeout as sleep } from "node:timers/promises";
import { ages, chromiumForTests, undisturbed, up, watching, withTest } from "./stage.mjs";

/** Whoever starts validators again when they hang does so after 15 s. */
const SEGMENTS = 2;
const SEGMENT_MS = 10_000;
const [source = "test?width=1280&height=720&fps=30"] = process.argv.slice(2);

async function watched(site, surgeon) {
  const segments = [];
  for (let segment = 0; segment < SEGMENTS; segment++) {
    // The two clocks have met by then, and what waited for the validators is done.
    await sleep(2_000);
    const { result } = await undisturbed(site, () => ages(surgeon, () => sleep(SEGMENT_MS)));
    segments.push(result);
  }
  return { called_ms: segments.flatMap(({ calledMs }) => calledMs), shown_ms: segments.flatMap(({ shownMs }) => shownMs) };
}

const browser = await chromiumForTests();
const site = await up(1, { stamp: false, options: ["--video", source] });
try {
  // Without reading pixels, as a surgeon has it.
  const surgeon = await watching(browser, site, withTest);
  const result = await watched(site, surgeon);
  console.log(JSON.stringify({ source, browser: `Chromium ${browser.version()}`, watched_s: (SEGMENTS * SEGMENT_MS) / 1000, ...result }));
} finally {
  await browser.close();
  await site.end();
}
