// The report's interaction. Everything is on the page without it; nothing from a run becomes markup or code.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("script");
  const SVG = "http://www.w3.org/2000/svg";
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const data = JSON.parse(one("#report-data").textContent);
  for (const screen of data.screens) screen.rows = screen.rows.map((values) => Object.fromEntries(data.fields.map((field, index) => [field, values[index]])));
  for (const row of data.screens.flatMap((screen) => screen.rows)) row.seeds = row.seeds.map(([seed, loss, diverged = 0]) => ({ seed, loss, diverged: diverged === 1 }));
  const screens = new Map(data.screens.map((screen) => [screen.anchor, screen]));
  const hidden = new Set(); // labels of rows that are not shown
  const isLog = () => one("#log")?.checked ?? true;
  const redraws = []; // what to draw again when rows are shown or hidden, or the axes change

  const element = (name, attributes = {}, text = "") => {
    const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== "") made.textContent = text;
    return made;
  };
  const button = (text, label, act) => {
    const made = element("button", { type: "button", "aria-label": label }, text);
    made.addEventListener("click", act);
    return made;
  };
  const colors = (made, row) => {
    made.style.setProperty("--c", row.color);
    made.style.setProperty("--d", row.dark_color);
    return made;
  };
  const short = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size && size < 1e-3) return value.toExponential(1);
    return size < 0.1 ? String(Number(value.toPrecision(2))) : size < 1e4 ? String(Number(value.toPrecision(3))) : Math.round(value).toLocaleString("en");
  };

  const readPacked = async (query) => {
    const bytes = Uint8Array.from(atob(one(query).textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(await new Response(stream).text());
  };

  const save = (blob, name) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const fileName = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "figure";
  const csvCell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const saveCsv = (rows, name) => save(new Blob([rows.map((cells) => cells.map(csvCell).join(",")).join("\n") + "\n"], { type: "text/csv" }), `${name}.csv`);

  // An axis: the same as analysis/report/first_screen/axis.py.
  const fitAxis = (values, wantLog) => {
    let low = Math.min(...values), high = Math.max(...values);
    if (wantLog && low > 0) {
      if (high / low < 1.5) {
        const middle = Math.sqrt(low * high);
        low = middle / Math.sqrt(1.5);
        high = middle * Math.sqrt(1.5);
      }
      const factor = (high / low) ** 0.04;
      return { low: low / factor, high: high * factor, log: true };
    }
    const pad = 0.04 * (high - low) || 1;
    return { low: low - pad, high: high + pad, log: false };
  };
  const place = (axis, value) => {
    const share = axis.log ? Math.log(Math.max(value, axis.low) / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
    return Math.min(1, Math.max(0, share));
  };
  const ticks = (axis) => {
    let values = [];
    if (axis.log) {
      const first = Math.floor(Math.log10(axis.low)), last = Math.ceil(Math.log10(axis.high));
      for (const steps of [[1, 2, 5], [1, 3], [1]]) {
        values = [];
        for (let power = first; power <= last; power++) for (const step of steps) values.push(step * 10 ** power);
        values = values.filter((value) => value >= axis.low && value <= axis.high);
        if (values.length <= 6) break;
      }
      const stride = Math.ceil(values.length / 6);
      values = values.filter((_, index) => index % stride === 0);
    } else {
      const rough = (axis.high - axis.low) / 6, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
      for (let index = Math.ceil(axis.low / step); index * step <= axis.high; index++) values.push(index * step);
    }
    return values.map((value) => [value, tickText(value)]);
  };
  const tickText = (value) => {
    if (value && (Math.abs(value) < 9.99e-4 || Math.abs(value) >= 1e6)) return value.toExponential(0).replace("e+", "e");
    return Number(value.toPrecision(8)).toLocaleString("en", { maximumFractionDigits: 6 });
  };
  const visibleRows = (screen) => screen.rows.filter((row) => !hidden.has(row.label));
  const lossAxis = (screen) => {
    const rows = visibleRows(screen).length ? visibleRows(screen) : screen.rows;
    const losses = rows.flatMap((row) => row.seeds.map((seed) => seed.loss));
    const levels = screen.floors.map(([, loss]) => loss);
    return fitAxis([...losses, ...(screen.trivial === null ? [] : [screen.trivial]), ...levels], isLog());
  };

  // Dots of a matrix, moved to where the axis has them.
  const moveDots = (drawing, axis, screen, row) => {
    const at = (value) => 5 + 120 * place(axis, value);
    const losses = row.seeds.map((seed) => seed.loss);
    const ends = row.seeds.length > 3 && row.low !== null ? [row.low, row.high] : [Math.min(...losses), Math.max(...losses)];
    const span = one(".span", drawing), trivial = one(".trivial", drawing);
    span.setAttribute("x1", at(ends[0]));
    span.setAttribute("x2", at(ends[1]));
    if (trivial) for (const end of ["x1", "x2"]) trivial.setAttribute(end, at(screen.trivial));
    all(".floor", drawing).forEach((line, index) => {
      for (const end of ["x1", "x2"]) line.setAttribute(end, at(screen.floors[index][1]));
    });
    all("circle, .cross", drawing).forEach((mark, index) => {
      if (mark.matches("circle")) mark.setAttribute("cx", at(losses[index]));
      else mark.setAttribute("transform", `translate(${at(losses[index])} 8)`);
    });
  };
  const drawTicks = (drawing, axis) => {
    if (!drawing) return;
    const marks = ticks(axis);
    const few = marks.length < 4 ? marks : [marks[0], marks[Math.floor(marks.length / 2)], marks[marks.length - 1]];
    drawing.replaceChildren(...few.flatMap(([value, text]) => {
      const x = 5 + 120 * place(axis, value);
      return [element("svg:line", { x1: x, x2: x, y1: 0, y2: 3 }), element("svg:text", { x, y: 13 }, text)];
    }));
  };

  const cellText = (cell) => (cell.closest(".matrix") && cell.dataset.sort !== undefined ? cell.dataset.sort : cell.innerText || cell.textContent).replace(/\u00ad/g, "").replace(/\s+/g, " ").trim();

  // Sorting: each heading becomes a button.
  const sortTable = (table, heading, index) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[index], text = cellText(cell);
      if (cell.dataset.sort !== undefined || index === 0) return cell.dataset.sort ?? text;
      const number = text.replace(/[,\u2265]/g, "").trim();
      return text === "\u2013" ? "" : /^[\d.]/.test(number) ? String(parseFloat(number)) : text;
    };
    const order = (first, second) => {
      if (first === "" || second === "") return (first === "") - (second === "");
      const numbers = [Number(first), Number(second)];
      const by = numbers.some(Number.isNaN) ? first.localeCompare(second, "en", { numeric: true }) : numbers[0] - numbers[1];
      return up ? by : -by;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((first, second) => order(key(first), key(second))));
  };
  const makeSortable = (table) => {
    all("thead th", table).forEach((heading, index) => {
      const made = element("button", { type: "button", title: heading.title || "sort by this" });
      made.append(...heading.childNodes);
      made.addEventListener("click", () => sortTable(table, heading, index));
      heading.append(made);
    });
  };

  // The scatter: the same as analysis/report/first_screen/scatter.py, for any cost and either kind of axes.
  const COSTS = { parameters: "parameters", state: "numbers of state carried", seconds: "seconds a step" };
  const drawScatter = (drawing, screen, cost) => {
    const width = 440, height = 312, left = 48, right = 430, top = 10, bottom = 274;
    const rows = visibleRows(screen).filter((row) => row[cost] !== null);
    const parts = [];
    const text = (x, y, content, kind, more = {}) => parts.push(element("svg:text", { x, y, class: kind, ...more }, content));
    text((left + right) / 2, height - 5, COSTS[cost], "middle");
    text(0, 0, "test loss", "middle", { transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)` });
    if (rows.length) {
      const xAxis = fitAxis(rows.map((row) => row[cost]), isLog()), yAxis = lossAxis(screen);
      const x = (value) => left + place(xAxis, value) * (right - left);
      const y = (value) => bottom - place(yAxis, value) * (bottom - top);
      for (const [value, content] of ticks(xAxis)) {
        parts.push(element("svg:line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom }));
        text(x(value), bottom + 15, content, "middle");
      }
      for (const [value, content] of ticks(yAxis)) {
        parts.push(element("svg:line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }));
        text(left - 6, y(value) + 4, content, "end");
      }
      if (screen.trivial !== null) {
        parts.push(element("svg:line", { class: "trivial", x1: left, x2: right, y1: y(screen.trivial), y2: y(screen.trivial) }));
        text(right, y(screen.trivial) - 4, "without memory", "end");
      }
      for (const [name, loss] of screen.floors) {
        parts.push(element("svg:line", { class: "floor", x1: left, x2: right, y1: y(loss), y2: y(loss) }));
        text(right, y(loss) - 4, name, "end");
      }
      const overlap = (first, second) => first[0] < second[2] && second[0] < first[2] && first[1] < second[3] && second[1] < first[3];
      const taken = [], places = new Map();
      for (const row of rows) {
        const ys = row.seeds.map((seed) => y(seed.loss)), exact = x(row[cost]);
        const box = (at) => [at - 4, Math.min(...ys) - 4, at + 4, Math.max(...ys) + 4];
        const shifts = [0, 8, -8, 16, -16, 24, -24, 32, -32].map((dodge) => exact + dodge).filter((at) => at === exact || (at >= left + 4 && at <= right - 4));
        places.set(row, shifts.find((at) => !taken.some((other) => overlap(box(at), other))) ?? exact);
        taken.push(box(places.get(row)));
      }
      for (const row of rows) {
        const group = colors(element("svg:g", { "data-label": row.label }), row), rowX = places.get(row);
        const ys = row.seeds.map((seed) => y(seed.loss));
        group.append(element("svg:line", { class: "span", x1: rowX, x2: rowX, y1: Math.min(...ys), y2: Math.max(...ys) }));
        row.seeds.forEach((seed, index) => {
          const dot = element("svg:circle", { class: "seed", cx: rowX, cy: ys[index], r: 3.6 });
          dot.append(element("svg:title", {}, `${seedText(row, index)}; ${COSTS[cost]} ${short(row[cost])}`));
          group.append(dot);
        });
        search: for (const shift of [0, 13, -13, 26, -26, 39, -39, 52, -52]) {
          for (const [offset, end] of [[8, "start"], [-8, "end"]]) {
            const size = 6.1 * row.label.length, labelX = rowX + offset, labelY = y(row.center) + shift;
            const boxLeft = end === "start" ? labelX : labelX - size;
            const box = [boxLeft, labelY - 6.5, boxLeft + size, labelY + 6.5];
            if (box[0] < left || box[2] > width || box[1] < 0 || box[3] > bottom + 4 || taken.some((other) => overlap(box, other))) continue;
            taken.push(box);
            group.append(element("svg:text", { class: `label ${end}`, x: labelX, y: labelY + 4 }, row.label));
            break search;
          }
        }
        parts.push(group);
      }
    }
    drawing.replaceChildren(...parts);
    drawing.setAttribute("aria-label", `Test loss against ${COSTS[cost]} on ${screen.title}; the numbers are in the table`);
  };

  const setHidden = (labels, hide) => {
    labels.forEach((label) => (hide ? hidden.add(label) : hidden.delete(label)));
    redraw();
  };
  const redraw = () => redraws.forEach((draw) => draw());

  const seedText = (row, index) => `${row.label}, seed ${row.seeds[index].seed}: ${row.seeds[index].diverged ? "diverged" : row.seeds[index].loss}`;
  const curveLink = (screen, row) => {
    const link = element("a", { class: "curve", href: `#${screen.anchor}`, "data-curve": row.label, "aria-label": `curve of ${row.label}`, title: "its learning curve" });
    const picture = element("svg:svg", { viewBox: "0 0 12 10", "aria-hidden": "true" });
    picture.append(element("svg:path", { d: "M1 1c1 5 3 7 10 8" }));
    link.append(picture);
    return link;
  };
  const tables = all("table.matrix");
  for (const table of tables) {
    makeSortable(table);
    const screen = screens.get(table.dataset.task);
    if (!screen) continue;
    for (const tableRow of table.tBodies[0].rows) {
      const row = screen.rows[Number(tableRow.dataset.row)];
      tableRow.dataset.label = row.label;
      const box = element("input", { type: "checkbox", "aria-label": `show ${row.label}` });
      box.checked = true;
      box.addEventListener("change", () => setHidden([row.label], !box.checked));
      one(".name", tableRow).prepend(box);
      one(".dot", tableRow).remove();
      one(".name a", tableRow)?.setAttribute("title", "the folder of its runs");
      if (screen.anchor in data.curves) one(".name", tableRow).append(curveLink(screen, row));
      all("circle, .cross", tableRow).forEach((mark, index) => mark.append(element("svg:title", {}, seedText(row, index))));
    }
    redraws.push(() => {
      const axis = lossAxis(screen);
      for (const tableRow of table.tBodies[0].rows) {
        const row = screen.rows[Number(tableRow.dataset.row)], off = hidden.has(row.label);
        tableRow.classList.toggle("off", off);
        one("input", tableRow).checked = !off;
        moveDots(one(".dots", tableRow), axis, screen, row);
      }
      drawTicks(one(".ticks", table), axis);
    });
    const choice = one(`select[data-cost="${CSS.escape(screen.anchor)}"]`);
    for (const option of [...choice.options]) if (screen.rows.every((row) => row[option.value] === null)) option.remove();
    const drawing = one(`.scatter-drawing[data-task="${CSS.escape(screen.anchor)}"]`);
    const draw = () => drawScatter(drawing, screen, choice.value);
    choice.addEventListener("change", draw);
    redraws.push(draw);
  }
  const overview = one(".overview-matrix");
  if (overview) {
    redraws.push(() => {
      const drawn = data.screens;
      for (const tableRow of overview.tBodies[0].rows) {
        tableRow.classList.toggle("off", hidden.has(tableRow.dataset.label));
        drawn.forEach((screen, index) => {
          const drawing = one(".dots", tableRow.cells[index + 1]);
          const row = screen.rows.find((each) => each.label === tableRow.dataset.label);
          if (drawing && row) moveDots(drawing, lossAxis(screen), screen, row);
        });
      }
    });
  }

  for (const tableRow of all(".square tbody tr")) redraws.push(() => tableRow.classList.toggle("off", hidden.has(tableRow.dataset.label)));

  // Families and axes.
  const families = all("#families .chip");
  const ofFamily = (name) => [...new Set(data.screens.flatMap((screen) => screen.rows.filter((row) => row.family === name).map((row) => row.label)))];
  for (const chip of families) {
    chip.addEventListener("click", () => setHidden(ofFamily(chip.dataset.family), chip.getAttribute("aria-pressed") === "true"));
    redraws.push(() => chip.setAttribute("aria-pressed", String(ofFamily(chip.dataset.family).some((label) => !hidden.has(label)))));
  }
  one("#log")?.addEventListener("change", redraw);

  // One task at a time.
  const articles = all("#answer article.task"), task = one("#task");
  const showTask = (anchor) => {
    articles.forEach((article) => (article.hidden = article.dataset.task !== anchor));
    // Where nothing is drawn there are no axes.
    const axes = one("#log-choice");
    if (axes) axes.hidden = anchor === "" && !one("#answer-all .dots");
  };
  if (task) {
    task.addEventListener("change", () => showTask(task.value));
    showTask(task.value);
  }

  // Learning curves, drawn when they come into view.
  const styleOf = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const focusCurve = new Map(); // by task, what brings a curve to the fore
  const drawPanel = (box, panel, rows) => {
    const title = element("h3", {}, panel.title), target = element("div"), keys = element("div", { class: "bar", role: "group", "aria-label": `Curves of ${panel.title}` });
    const bar = element("div", { class: "bar" });
    box.append(title, bar, target, keys);
    let chart = null;
    const labels = panel.labels.map((label) => rows.get(label) ?? { label, color: "#555555", dark_color: "#aaaaaa" });
    const outputs = labels.map((row, index) => {
      const key = colors(element("button", { type: "button", class: "key", "aria-pressed": "true" }), row);
      const output = element("output");
      key.append(element("span", { class: "dot", "aria-hidden": "true" }), element("span", {}, row.label), output);
      key.addEventListener("click", () => setHidden([row.label], !hidden.has(row.label)));
      for (const event of ["mouseenter", "focus"]) key.addEventListener(event, () => chart.setSeries(index + 1, { focus: true }));
      for (const event of ["mouseleave", "blur"]) key.addEventListener(event, () => chart.setSeries(null, { focus: true }));
      keys.append(key);
      return { key, output, label: row.label };
    });
    const draw = () => {
      chart?.destroy();
      const log = panel.log && isLog(), ink = styleOf("--faint"), rule = styleOf("--rule");
      const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 }, font: "11px system-ui, sans-serif" };
      // Of the nine lines in a power of ten, one is enough over many powers, and three over few.
      const round = (each, splits) => {
        const { min, max } = each.scales.y, wanted = !log ? null : max / min > 200 ? ["1"] : ["1", "2", "5"];
        return splits.map((value) => (value === null || (wanted && !wanted.includes(value.toExponential(0)[0])) ? null : value));
      };
      const steps = panel.steps, values = [...panel.values];
      const series = [{}, ...labels.map((row) => ({ label: row.label, stroke: isDark() ? row.dark_color : row.color, width: 1.7, spanGaps: true, show: !hidden.has(row.label), points: { show: steps.length < 40, size: 5 } }))];
      if (panel.trivial !== null) {
        values.push(steps.map(() => panel.trivial));
        series.push({ label: "without memory", stroke: ink, width: 1.2, dash: [5, 3], points: { show: false } });
      }
      for (const [name, value] of panel.floors) {
        values.push(steps.map(() => value));
        series.push({ label: name, stroke: ink, width: 1.2, dash: [1, 3], points: { show: false } });
      }
      chart = new uPlot({
        width: target.clientWidth || 600, height: 300, series, legend: { show: false }, focus: { alpha: 0.25 },
        cursor: { focus: { prox: 24 }, drag: { x: true, y: true, uni: 20 } },
        scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
        axes: [{ ...axis, values: (_, splits) => splits.map((value) => value === null ? "" : value.toLocaleString("en")) }, { ...axis, size: 62, filter: round, grid: { ...axis.grid, filter: round }, ticks: { ...axis.ticks, filter: round }, values: (_, splits) => splits.map((value) => (value === null ? "" : tickText(value))) }],
        hooks: {
          setCursor: [(each) => {
            const index = each.cursor.idx;
            outputs.forEach(({ output }, series) => (output.textContent = index === null || index === undefined ? "" : short(panel.values[series][index])));
            at.textContent = index === null || index === undefined ? "" : `step ${steps[index].toLocaleString("en")}`;
          }],
        },
      }, [steps, ...values], target);
      all("canvas", target).forEach((canvas) => {
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${panel.title} against the training step; the last values are in the results`);
      });
    };
    const zoom = (share) => {
      const { min, max } = chart.scales.x, first = panel.steps[0], last = panel.steps[panel.steps.length - 1];
      const middle = (min + max) / 2, half = ((max - min) / 2) * share;
      chart.setScale("x", { min: Math.max(first, middle - half), max: Math.min(last, middle + half) });
    };
    const move = (share) => {
      const { min, max } = chart.scales.x, first = panel.steps[0], last = panel.steps[panel.steps.length - 1];
      const by = Math.min(Math.max((max - min) * share, first - min), last - max);
      chart.setScale("x", { min: min + by, max: max + by });
    };
    const at = element("output");
    bar.append(
      button("zoom in", "zoom in on steps", () => zoom(0.5)), button("zoom out", "zoom out of steps", () => zoom(2)),
      button("←", "earlier steps", () => move(-0.25)), button("→", "later steps", () => move(0.25)),
      button("whole", "show all steps", draw), element("small", {}, "or drag over the curves"), at,
    );
    const picture = (act) => target.querySelector("canvas").toBlob((blob) => act(blob));
    const values = () => [["step", ...panel.labels], ...panel.steps.map((step, index) => [step, ...panel.values.map((series) => series[index] ?? "")])];
    const name = fileName(`${box.dataset.task}-${panel.title}`);
    const tools = element("span", { class: "tools" });
    tools.append("Save as ", button("PNG", `save as PNG: ${panel.title}`, () => picture((blob) => save(blob, `${name}.png`))), button("CSV", `save as CSV: ${panel.title}`, () => saveCsv(values(), name)));
    bar.append(tools);
    draw();
    redraws.push(() => {
      outputs.forEach(({ key, label }) => key.setAttribute("aria-pressed", String(!hidden.has(label))));
      draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    let width = target.clientWidth;
    new ResizeObserver(() => {
      if (target.clientWidth && target.clientWidth !== width) chart.setSize({ width: (width = target.clientWidth), height: 300 });
    }).observe(target);
    return (label) => outputs.find((output) => output.label === label)?.key;
  };
  let library = null;
  const loadLibrary = () => (library ??= readPacked("#library").then(([text]) => document.head.append(element("script", {}, text))));
  let curves = null;
  const loadCurves = () => (curves ??= readPacked("#curves").then(([text]) => JSON.parse(text)));
  for (const box of all(".curves")) {
    const rows = new Map((screens.get(box.dataset.task)?.rows ?? []).map((row) => [row.label, row]));
    let finders = null;
    const draw = () => (finders ??= Promise.all([loadCurves(), loadLibrary()]).then(([found]) => found[box.dataset.task].map((panel) => drawPanel(box, panel, rows))));
    box.style.minHeight = `${(data.curves[box.dataset.task] ?? 0) * 22}rem`;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      box.style.minHeight = "";
      draw();
    }, { rootMargin: "300px" });
    observer.observe(box);
    focusCurve.set(box.dataset.task, async (label) => (await draw())[0]?.(label)?.focus({ preventScroll: true }));
  }
  for (const link of all("a[data-curve]")) {
    const anchor = link.getAttribute("href").slice(1);
    link.addEventListener("click", () => {
      if (hidden.has(link.dataset.curve)) setHidden([link.dataset.curve], false);
      setTimeout(() => focusCurve.get(anchor)?.(link.dataset.curve), 50);
    });
  }

  // Figures that are packed, all together.
  let drawings = null;
  const unpack = async (card) => {
    const index = Number(card.dataset.packed);
    card.removeAttribute("data-packed");
    const text = (await (drawings ??= readPacked("#packed")))[index];
    card.replaceChildren(document.adoptNode(one("svg", new DOMParser().parseFromString(text, "text/html"))));
  };
  const unpackWithin = (box) => Promise.all(all(".card[data-packed]", box).map(unpack));
  all("details").forEach((each) => each.addEventListener("toggle", () => each.open && unpackWithin(each)));
  all(".card[data-packed]").filter((card) => !card.closest("details")).forEach(unpack);

  // Files: drawings as SVG and PNG, tables as CSV.
  const INHERITED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "text-anchor", "opacity", "overflow"];
  const standalone = (drawing) => {
    const copy = drawing.cloneNode(true), parts = all("*", drawing);
    const { width, height } = drawing.viewBox.baseVal;
    all("*", copy).forEach((part, index) => {
      const style = getComputedStyle(parts[index]);
      part.removeAttribute("class");
      for (const name of INHERITED) part.style.setProperty(name, style.getPropertyValue(name));
    });
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.style.background = isDark() && !drawing.closest(".card") ? styleOf("--paper") : "#ffffff";
    return { text: new XMLSerializer().serializeToString(copy), width, height };
  };
  const saveSvg = (drawing, name) => save(new Blob([standalone(drawing).text], { type: "image/svg+xml" }), `${name}.svg`);
  const savePng = (drawing, name) => {
    const { text, width, height } = standalone(drawing), picture = new Image();
    const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    picture.addEventListener("load", () => {
      const canvas = element("canvas", { width: 2.5 * width, height: 2.5 * height });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      URL.revokeObjectURL(address);
      canvas.toBlob((blob) => save(blob, `${name}.png`));
    });
    picture.src = address;
  };
  all("figure").forEach((figure, index) => {
    const chapter = figure.closest("section")?.id ?? "report", name = fileName(`${chapter}-${figure.querySelector("[data-task]")?.dataset.task ?? index}`);
    const caption = one("figcaption", figure), drawing = () => one(".card > svg, .scatter-drawing", figure);
    const tools = element("span", { class: "tools needs-script" });
    const whenDrawn = (act) => async () => {
      await unpackWithin(figure);
      if (drawing()) act(drawing(), name);
    };
    tools.append("Save as ", button("SVG", "save this figure as SVG", whenDrawn(saveSvg)), button("PNG", "save this figure as PNG", whenDrawn(savePng)));
    caption.append(tools);
  });
  const headings = (table) => {
    const rows = [...table.tHead.rows], last = rows[rows.length - 1];
    if (rows.length < 2) return [...last.cells].map(cellText);
    const groups = [...rows[0].cells].flatMap((cell) => Array(cell.colSpan).fill(cellText(cell)));
    return [...last.cells].map((cell, index) => [groups[index], cellText(cell)].filter(Boolean).join(" "));
  };
  for (const table of all("table")) {
    const caption = table.caption?.textContent.trim() ?? "table";
    const made = button("CSV", `save as CSV: ${caption}`, () => {
      saveCsv([headings(table), ...[...table.tBodies[0].rows].map((row) => [...row.cells].map(cellText))], fileName(caption));
    });
    const box = table.closest(".scroll"), next = box.nextElementSibling;
    if (next?.matches(".tools")) next.append(made);
    else {
      const tools = element("p", { class: "tools needs-script" });
      tools.append("Save as ", made);
      box.after(tools);
    }
  }

  // Links into what is folded away, and print.
  const reveal = () => {
    let target = null;
    try {
      target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return; // an address that is no link of this page
    }
    if (!target) return;
    const article = target.closest("#answer article.task");
    if (article && task) {
      task.value = article.dataset.task;
      showTask(task.value);
    }
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((each) => (each.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
  // Unpacking takes a moment, which a print does not wait for.
  (window.requestIdleCallback ?? setTimeout)(() => unpackWithin(document));

  // Where the reader is.
  const links = new Map(all(".contents a").map((link) => [link.getAttribute("href").slice(1), link]));
  const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id)?.setAttribute("aria-current", "location");
  }), { rootMargin: "-10% 0px -80% 0px" });
  links.forEach((_, anchor) => document.getElementById(anchor) && seen.observe(document.getElementById(anchor)));
})();
