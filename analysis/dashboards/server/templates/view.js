"use strict";
// Renews the parts of the page in place, so that what is scrolled, opened or focused stays so.
const PAUSE = 2000, PATIENCE = 60000;
const gone = document.getElementById("gone"), when = document.getElementById("when");
let seen = new Date();

function patch(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const each of [...old.attributes]) if (!fresh.hasAttribute(each.name)) old.removeAttribute(each.name);
  for (const each of fresh.attributes)
    if (old.getAttribute(each.name) !== each.value) old.setAttribute(each.name, each.value);
  // Figures are other drawings, not other numbers.
  if (old.nodeName.toLowerCase() === "svg") { if (old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh); return; }
  inside(old, fresh);
}

function inside(old, fresh) {
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((each, index) => index < before.length ? patch(before[index], each) : old.append(each));
  before.slice(after.length).forEach(each => each.remove());
}

async function renew(region) {
  try {
    const answer = await fetch(region.dataset.live, {
      headers: {"If-None-Match": region.dataset.version}, cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
    });
    if (answer.status !== 200 && answer.status !== 304) throw new Error(answer.statusText);
    if (answer.status === 200) {
      const made = document.createElement("template");
      made.innerHTML = await answer.text();
      inside(region, made.content);
      region.dataset.version = answer.headers.get("ETag");
    }
    seen = new Date();
    gone.hidden = true;
  } catch {
    if (gone.hidden) when.textContent = seen.toLocaleTimeString();
    gone.hidden = false;
  }
}

const shown = () => document.hidden
  ? new Promise(go => document.addEventListener("visibilitychange", go, {once: true})) : Promise.resolve();

async function watch(region) {
  for (;;) {
    await shown();
    await renew(region);
    await new Promise(go => setTimeout(go, PAUSE));
  }
}

document.querySelectorAll("[data-live]").forEach(watch);
