// What the net sees is drawn over the picture, keyed to it; who does not want it turns it off, and the edge box then does not look. A
// model that is cut takes nothing from the operation but the outlines, and the page says why.
//
//   node tests/browser/sight.mjs
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromiumForTests, now, picture, until, up, watching } from "./stage.mjs";

const MODEL = new URL("../../edge/vision/models/segment-4.safetensors", import.meta.url);
/** As in `src/video/sight.ts`. */
const BEHIND_MS_MAX = 250;
const INSTRUMENT = [1, 2, 3];

const browser = await chromiumForTests();

async function sees() {
  const site = await up(1, { stamp: false });
  try {
    const surgeon = await watching(browser, site);
    await until("outlines come", async () => (await now(surgeon)).overlays > 20);
    const { sight } = await until("an instrument is seen", async () => {
      const seen = await now(surgeon);
      return seen.sight?.classes.some((one) => INSTRUMENT.includes(one)) && seen;
    });
    assert.ok(sight.behindMs >= 0 && sight.behindMs <= BEHIND_MS_MAX, `${sight.behindMs} ms behind`);
    await picture(surgeon, "sight");
    for (const _ of ["tools", "vessels", "none"]) await surgeon.keyboard.press("v");
    // What was under way still comes.
    await sleep(500);
    const before = (await now(surgeon)).overlays;
    await sleep(1_500);
    assert.equal((await now(surgeon)).overlays, before, "nobody wants outlines, and they come");
    await surgeon.keyboard.press("v");
    await until("they come again", async () => (await now(surgeon)).overlays > before + 3);
    return { behind_ms: sight.behindMs, classes: [...new Set(sight.classes)] };
  } finally {
    await site.end();
  }
}

/** Without a net that works. */
async function isBlind() {
  const folder = mkdtempSync(join(tmpdir(), "farhand-model-"));
  const cut = join(folder, "cut.safetensors");
  writeFileSync(cut, readFileSync(MODEL).subarray(0, 100_000));
  const site = await up(2, { stamp: false, options: ["--vision", cut] });
  try {
    const surgeon = await watching(browser, site);
    const { noSight } = await until("the page says why", async () => {
      const seen = await now(surgeon);
      return seen.noSight !== "" && seen;
    });
    assert.match(noSight, /the model .*safetensors/);
    const { frame } = await now(surgeon);
    await until("pictures come on", async () => (await now(surgeon)).frame > frame + 30);
    assert.equal((await now(surgeon)).overlays, 0);
    await picture(surgeon, "no-sight");
    return noSight;
  } finally {
    await site.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  console.log(JSON.stringify({ sees: await sees(), blind: await isBlind() }));
} finally {
  await browser.close();
}
