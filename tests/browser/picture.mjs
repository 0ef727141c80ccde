// Makes the README's picture of the surgeon's page: docs/operate.png.
//
//   node tests/browser/picture.mjs
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { arm, chromiumForTests, deliver, engage, now, open, reach, truth, until, up, withTest } from "./stage.mjs";

const browser = await chromiumForTests();
const site = await up(1, { stamp: false });
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const surgeon = await open(browser, withTest(site.operate));
  await deliver(field);
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await arm(bedside, surgeon);
  await engage(surgeon);
  await surgeon.keyboard.down("d");
  await until("the jaws are open", () => truth(site).jaw_rad > 0.6);
  await surgeon.keyboard.up("d");
  await reach(surgeon, site, 1.5);
  await surgeon.keyboard.down("f");
  await until("the bead is grasped", () => truth(site).grasped);
  await surgeon.keyboard.up("f");
  await sleep(500);
  await surgeon.screenshot({ path: fileURLToPath(new URL("../../docs/operate.png", import.meta.url)) });
} finally {
  await browser.close();
  await site.end();
}
