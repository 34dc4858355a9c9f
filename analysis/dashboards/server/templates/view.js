"use strict";
// Refreshes the parts of the page in place, so that the scroll position and the focus are kept.
const PAUSE = 2000, PATIENCE = 60000;
const gone = document.getElementById("gone"), when = document.getElementById("when");
let lastSeen = new Date();

function patch(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  // A figure is replaced as a whole.
  if (old.nodeName.toLowerCase() === "svg") { if (old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh); return; }
  patchChildren(old, fresh);
}

function patchChildren(old, fresh) {
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((node, index) => index < before.length ? patch(before[index], node) : old.append(node));
  before.slice(after.length).forEach(node => node.remove());
}

async function refresh(region) {
  try {
    const response = await fetch(region.dataset.live, {
      headers: {"If-None-Match": region.dataset.version}, cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status !== 200 && response.status !== 304) throw new Error(response.statusText);
    if (response.status === 200) {
      const template = document.createElement("template");
      template.innerHTML = await response.text();
      patchChildren(region, template.content);
      region.dataset.version = response.headers.get("ETag");
    }
    lastSeen = new Date();
    gone.hidden = true;
  } catch {
    if (gone.hidden) when.textContent = lastSeen.toLocaleTimeString();
    gone.hidden = false;
  }
}

const becomeVisible = () => document.hidden
  ? new Promise(resolve => document.addEventListener("visibilitychange", resolve, {once: true})) : Promise.resolve();

async function watch(region) {
  for (;;) {
    await becomeVisible();
    await refresh(region);
    await new Promise(resolve => setTimeout(resolve, PAUSE));
  }
}

document.querySelectorAll("[data-live]").forEach(watch);
