#include "dashboard/report_page.h"

namespace kiln {

// It asks for the page again, puts in the sections that have changed, and says how old the rest is.
// What a reader is at stays: focus, open details, places in tables, a selection. The token is kept
// for this tab alone and sent by this script only, so no other site can have a browser send it.
std::string_view PageScript() {
  return R"js("use strict";
(() => {
  const kPeriod = 5000, kPatience = 20000;
  const status = document.getElementById("live-status");
  const unlock = document.getElementById("unlock");
  const said = document.getElementById("change-status");
  let etag = "", asOf = document.body.dataset.asOf, timer = 0, busy = false;
  const received = new Map();  // the sections as they came

  const token = {
    get: () => sessionStorage.getItem("kiln-token") || "",
    set: (value) => value ? sessionStorage.setItem("kiln-token", value)
                          : sessionStorage.removeItem("kiln-token"),
  };

  function say(where, text, isBad) {
    if (where.textContent !== text) where.textContent = text;
    where.className = isBad ? "bad" : "soft";
  }

  function allowChanges() {
    for (const button of document.querySelectorAll("button[data-wish]")) {
      button.disabled = !token.get();
    }
  }

  const focusable = (section) => [...section.querySelectorAll("a,button,summary,[tabindex]")];

  function replace(section, fresh) {
    const selection = document.getSelection();
    const isSelecting = selection && !selection.isCollapsed &&
        section.contains(selection.anchorNode);
    if (received.get(section.id) === fresh.innerHTML || isSelecting) return;
    received.set(section.id, fresh.innerHTML);
    const at = focusable(section).indexOf(document.activeElement);
    const open = [...section.querySelectorAll("details")].map((each) => each.open);
    const places = [...section.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    section.replaceChildren(...[...fresh.childNodes].map((each) => document.importNode(each, true)));
    section.querySelectorAll("details").forEach((each, i) => { each.open = Boolean(open[i]); });
    section.querySelectorAll(".scroll").forEach((each, i) => { each.scrollLeft = places[i] || 0; });
    if (at >= 0) focusable(section)[at]?.focus({preventScroll: true});
  }

  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!page.body.dataset.asOf) throw new Error(page.querySelector(".headline")?.textContent || "no page");
    for (const fresh of page.querySelectorAll("main section")) {
      const section = document.getElementById(fresh.id);
      if (section) replace(section, fresh);
    }
    asOf = page.body.dataset.asOf;
    allowChanges();
  }

  async function refresh() {
    if (busy) return;
    busy = true;
    clearTimeout(timer);
    try {
      const reply = await fetch(location.pathname + location.search, {
        headers: etag ? {"If-None-Match": etag} : {},
        cache: "no-store",
        signal: AbortSignal.timeout(kPatience),
      });
      if (reply.status !== 304) {
        const text = await reply.text();
        show(text);
        etag = reply.headers.get("ETag") || "";
      }
      say(status, `Live: as of ${asOf}.`, false);
    } catch (error) {
      const why = error instanceof TypeError || error.name === "TimeoutError"
          ? "the daemon does not answer" : error.message;
      say(status, `Stale since ${asOf}: ${why}. It is asked again every few seconds.`, true);
    }
    busy = false;
    timer = setTimeout(refresh, kPeriod);
  }

  async function wish(button) {
    const {job, wish, name} = button.dataset;
    if (wish === "cancel" && !confirm(`Cancel job ${job} (${name})? Its trials are kept.`)) return;
    say(said, `Asking for job ${job}: ${wish} ...`, false);
    try {
      const reply = await fetch(`/jobs/${job}/${wish}`, {
        method: "POST",
        headers: {Authorization: `Bearer ${token.get()}`},
        signal: AbortSignal.timeout(kPatience),
      });
      const text = (await reply.text()).trim();
      if (reply.status === 401) lock();
      say(said, text, !reply.ok);
    } catch {
      say(said, "The daemon does not answer: nothing was changed, as far as is known.", true);
    }
    etag = "";
    refresh();
  }

  function lock() {
    token.set("");
    allowChanges();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-wish]");
    if (button) wish(button);
  });
  if (unlock) {
    unlock.hidden = false;
    unlock.addEventListener("submit", (event) => {
      event.preventDefault();
      const field = unlock.querySelector("input");
      token.set(field.value.trim());
      field.value = "";
      allowChanges();
      say(said, token.get() ? "Changes are allowed in this tab, if the token is right."
                            : "Changes are not allowed.", false);
    });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else refresh();
  });
  for (const section of document.querySelectorAll("main section")) {
    received.set(section.id, section.innerHTML);
  }
  allowChanges();
  say(status, `Live: as of ${asOf}.`, false);
  timer = setTimeout(refresh, kPeriod);
})();
)js";
}

}  // namespace kiln
