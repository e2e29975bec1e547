// A line through all plots at the time under the pointer, and what each curve is there. The page
// is complete without.
"use strict";
(() => {
  const left = 48, right = 566, low = 168, high = 20;
  const plots = [...document.querySelectorAll("svg.plot")].map((svg) => {
    const make = (name, kind) => {
      const one = document.createElementNS("http://www.w3.org/2000/svg", name);
      one.setAttribute("class", kind);
      one.style.display = "none";
      svg.append(one);
      return one;
    };
    return { svg, line: make("path", "cursor"), text: make("text", "reading") };
  });
  // The height of a path at x: H and V are the steps, L the lines.
  const height = (path, x) => {
    let at = null, from = null;
    for (const [, command, numbers] of path.getAttribute("d").matchAll(/([MLHV])([^MLHVZ]*)/g)) {
      const [one, other] = numbers.trim().split(" ").map(Number);
      const to = command === "H" ? [one, from[1]] : command === "V" ? [from[0], one] : [one, other];
      if (to[0] > x) {
        if (from && command === "L") {
          at = from[1] + ((to[1] - from[1]) * (x - from[0])) / (to[0] - from[0] || 1);
        }
        break;
      }
      from = to;
      at = to[1];
    }
    return at;
  };
  const short = (value) => Number(value.toPrecision(4)).toString();
  const hide = () => plots.forEach(({ line, text }) => {
    line.style.display = text.style.display = "none";
  });
  const show = (x) => plots.forEach(({ svg, line, text }) => {
    const [x0, x1] = svg.dataset.x.split(" ").map(Number);
    const [y0, y1] = svg.dataset.y.split(" ").map(Number);
    const part = (x - left) / (right - left);
    const words = [`${short(x0 + part * (x1 - x0))} ${svg.dataset.xunit}`];
    for (const path of svg.querySelectorAll("path[data-name]:not([class^=b])")) {
      const y = height(path, x);
      if (y !== null) {
        const value = y0 + ((low - y) / (low - high)) * (y1 - y0);
        words.push(`${path.dataset.name} ${short(value)} ${svg.dataset.unit}`);
      }
    }
    line.setAttribute("d", `M${x} ${high}V${low}`);
    text.textContent = words.join(" · ");
    text.setAttribute("x", part > 0.5 ? x - 6 : x + 6);
    text.setAttribute("y", high + 10);
    text.style.textAnchor = part > 0.5 ? "end" : "start";
    line.style.display = text.style.display = "";
  });
  for (const { svg } of plots) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      if (x >= left && x <= right) show(Math.round(x * 10) / 10);
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
  }
})();
