// All views of a page, at the widths of a phone and of a desk, light and dark. $KILN_NAME names its
// pictures; $KILN_SCRIPTS=off and $KILN_NETWORK=off: as somebody who forbids both; $KILN_WORDS: what
// it must say, one a line; $KILN_STATUS: what it answers with; $KILN_QUESTIONS=all: it has something to
// answer to each.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  address, closeBrowser, expectEachViewByOneLink, expectNoOverflow, findings, isInView, openBrowser,
  openPage, picture,
} from "./browser.mjs";

const { KILN_NAME: name, KILN_SCRIPTS, KILN_NETWORK, KILN_WORDS = "", KILN_STATUS = "200" } =
  process.env;
const isFile = address.startsWith("file:");
const isWhole = KILN_STATUS === "200";

before(openBrowser);
after(closeBrowser);

// Where docs/looking.md says that each question is answered.
const kAnswers = {
  verdict: ".headline", layers: ".bars", changes: "tbody th", failures: "tbody th",
  devices: "tbody th", curves: "figcaption", queue: "tbody th", store: "tbody th",
};
test(`${name} answers each question in the window or by one link`, {
  skip: process.env.KILN_QUESTIONS !== "all" && "there is not something of all",
}, async () => {
  const page = await openPage();
  await page.goto(address);
  assert.ok(await isInView(page, "#verdict .headline"), "the verdict, before any link");
  for (const [view, answer] of Object.entries(kAnswers)) {
    await page.locator(`nav a[href="#${view}"]`).click();
    assert.ok(await isInView(page, `#${view} ${answer}`), `the answer of ${view}`);
  }
  await page.context().close();
});

for (const width of [360, 1440]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${name} at ${width} pixels, ${colorScheme}`, async () => {
      const page = await openPage({
        viewport: { width, height: width === 360 ? 740 : 900 },
        colorScheme,
        javaScriptEnabled: KILN_SCRIPTS !== "off",
        offline: KILN_NETWORK === "off",
      });
      const answer = await page.goto(address);
      if (!isFile) assert.equal(answer.status(), Number(KILN_STATUS));
      const text = await page.locator("body").innerText();
      for (const words of KILN_WORDS.split("\n")) {
        assert.ok(text.includes(words), `says "${words}":\n${text}`);
      }
      await picture(page, `${name}-${width}-${colorScheme}`, { fullPage: true });
      await expectNoOverflow(page);
      if (isWhole) {
        await expectEachViewByOneLink(
          page, { name: colorScheme === "light" ? `${name}-${width}` : "" });
      }
      if (isFile) assert.deepEqual(page.requests, [address], "it asks for nothing but itself");
      const troubles = page.troubles.filter((each) => isWhole || !each.includes("503"));
      assert.deepEqual(troubles, []);
      if (KILN_SCRIPTS !== "off") assert.deepEqual(await findings(page), []);
      await page.context().close();
    });
  }
}

// Scripts are the checker's own here.
if (KILN_SCRIPTS === "off") {
  for (const colorScheme of ["light", "dark"]) {
    test(`${name}, looked at by axe, ${colorScheme}`, async () => {
      const page = await openPage({ colorScheme, offline: KILN_NETWORK === "off" });
      if (isFile) {
        await page.goto(address);
        assert.deepEqual(await findings(page), []);
      }
      await page.context().close();
    });
  }
}

test(`${name} on paper`, async () => {
  const page = await openPage({
    viewport: { width: 1040, height: 720 },  // A4 across
    javaScriptEnabled: KILN_SCRIPTS !== "off",
  });
  await page.goto(address);
  await page.emulateMedia({ media: "print" });
  await picture(page, `${name}-print`, { fullPage: true });
  await expectNoOverflow(page);
  assert.equal(await page.locator("nav:visible, form:visible").count(), 0, "links on paper");
  await page.context().close();
});
