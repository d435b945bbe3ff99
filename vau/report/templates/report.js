"use strict";
// The page's behaviour: one cursor in time that the curve, the pictures and the player share. Without it the page still
// reads. Text from the report only ever goes through textContent, and marks are cloned from what the page holds.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("report-data").textContent);
  const plot = byId("plot"), cursor = byId("cursor"), player = byId("player"), viewer = byId("viewer");
  const stage = byId("stage");
  const frames = data.keyframes;
  let now = data.start, shown = -1, opener = null;

  const clock = (time) => {
    const tenths = Math.round(Math.max(time, 0) * 10), seconds = Math.floor(tenths / 10);
    const pad = (n) => String(n).padStart(2, "0");
    if (seconds < 60) return `${seconds}.${tenths % 10} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)}:${pad(seconds % 60)}.${tenths % 10}`;
    return `${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  };
  const nearest = (list, time) => {
    let best = -1;
    list.forEach((value, index) => {
      if (best < 0 || Math.abs(value - time) < Math.abs(list[best] - time)) best = index;
    });
    return best;
  };
  const frameTimes = frames.map((frame) => frame.time);
  const phaseWords = { pre: "before", during: "during", post: "after" };
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const pictureOf = (index) => byId(`k${frames[index].index}`).querySelector(".pic").cloneNode(true);
  const caption = (index) =>
    `${frames[index].id} · ${clock(frames[index].time)} · ${phaseWords[frames[index].phase]} ${frames[index].event_name}`;

  // The reading at the cursor.
  const read = (time) => {
    now = Math.min(Math.max(time, 0), data.duration);
    cursor.hidden = false;
    const place = (100 * now) / data.duration;
    cursor.style.left = `${place}%`;
    cursor.classList.toggle("first", place < 4);
    cursor.classList.toggle("last", place > 96);
    byId("cursor-text").textContent = byId("at-time").textContent = clock(now);
    const row = nearest(data.times, now);
    let said = clock(now);
    if (row >= 0) {
      const total = data.shares[row].reduce((sum, value) => sum + value, 0) || 1;
      byId("at-score").textContent = data.scores[row].toFixed(2);
      said += `, score ${data.scores[row].toFixed(2)}`;
      document.querySelectorAll("#at-signals li").forEach((item, index) => {
        const share = Math.round((100 * data.shares[row][index]) / total);
        item.querySelector("i").style.width = `${share}%`;
        item.querySelector(".num").textContent = `${share} %`;
        if (share >= 10) said += `, ${data.names[index]} ${share} per cent`;
      });
      byId("at-note").textContent = "Share of each signal in the score at this moment.";
    }
    plot.setAttribute("aria-valuenow", now.toFixed(2));
    plot.setAttribute("aria-valuetext", said);
    const box = byId("at-relations");
    box.replaceChildren();
    const holding = data.relations.filter((item) => item.start <= now + 0.15 && now <= item.end + 0.15).slice(0, 5);
    if (holding.length) {
      box.append(element("p", "At this moment"));
      const list = element("ul");
      holding.forEach((item) => {
        const line = element("li", `${item.text} `);
        line.append(element("span", item.sure));
        list.append(line);
      });
      box.append(list);
    }
  };

  // The large picture.
  const choose = (index) => {
    if (!frames.length || index === shown) return;
    shown = index;
    document.querySelectorAll(".thumb.on, .mark.on").forEach((item) => item.classList.remove("on"));
    byId(`k${frames[index].index}`).classList.add("on");
    document.querySelector(`[data-mark="${frames[index].index}"]`)?.classList.add("on");
    if (!stage) return;
    byId("stage-open").replaceChildren(pictureOf(index));
    byId("stage-caption").textContent = caption(index);
    byId("stage-prev").disabled = index === 0;
    byId("stage-next").disabled = index === frames.length - 1;
  };
  const seek = (time) => {
    read(time);
    if (player) player.currentTime = now;
    if (frames.length) choose(nearest(frameTimes, now));
  };
  const step = (by) => {
    const index = Math.min(Math.max(shown + by, 0), frames.length - 1);
    choose(index);
    read(frames[index].time);
  };

  // The viewer: a dialog over the page, so that closing it returns to the sentence one came from.
  const show = (index, asked) => {
    choose(index);
    read(frames[index].time);
    if (player) player.currentTime = now;
    byId("viewer-frame").replaceChildren(pictureOf(index));
    byId("viewer-caption").textContent = caption(index);
    const away = asked === undefined ? 0 : Math.abs(asked - frames[index].time);
    const note = away > 0.3 ? `Nearest picture to ${clock(asked)}. ` : "";
    byId("viewer-text").textContent = `${note}${index + 1} of ${frames.length}. Arrow keys go to the next picture.`;
    byId("viewer-prev").disabled = index === 0;
    byId("viewer-next").disabled = index === frames.length - 1;
    if (!viewer.open) {
      opener = document.activeElement;
      viewer.showModal();
    }
  };
  const turn = (by) => {
    const index = shown + by;
    if (index >= 0 && index < frames.length) show(index);
  };
  viewer.addEventListener("close", () => opener && opener.focus());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      event.preventDefault();
      turn(by);
    }
  });
  byId("viewer-close").addEventListener("click", () => viewer.close());
  byId("viewer-prev").addEventListener("click", () => turn(-1));
  byId("viewer-next").addEventListener("click", () => turn(1));

  // The time axis.
  const timeAt = (event) => {
    const box = plot.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * data.duration;
  };
  let held = null;
  plot.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    if (held === null) held = now;
    read(timeAt(event));
  });
  plot.addEventListener("pointerleave", () => {
    if (held !== null) read(held);
    held = null;
  });
  plot.addEventListener("click", (event) => {
    seek(timeAt(event));
    held = now;
  });
  plot.addEventListener("keydown", (event) => {
    const small = data.times.length > 1 ? data.duration / (data.times.length - 1) : data.duration / 100;
    const jump = (forward) => {
      const stops = frameTimes.concat(data.events.map((item) => item.peak)).sort((a, b) => a - b);
      const list = forward ? stops.filter((time) => time > now + 0.01) : stops.filter((time) => time < now - 0.01);
      return list.length ? (forward ? list[0] : list[list.length - 1]) : forward ? data.duration : 0;
    };
    const moves = {
      ArrowRight: () => now + small, ArrowUp: () => now + small, ArrowLeft: () => now - small,
      ArrowDown: () => now - small, Home: () => 0, End: () => data.duration,
      PageUp: () => jump(false), PageDown: () => jump(true),
    };
    if (moves[event.key]) {
      event.preventDefault();
      seek(moves[event.key]());
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (player) player.play();
      else if (frames.length) show(nearest(frameTimes, now), now);
    }
  });

  // Everything that carries a time or a picture.
  document.addEventListener("click", (event) => {
    const thumb = event.target.closest("[data-k]"), lead = event.target.closest("[data-lead]");
    const mark = event.target.closest("[data-mark]"), timed = event.target.closest("[data-t]");
    const place = (index) => frames.findIndex((frame) => frame.index === Number(index));
    if (thumb) show(place(thumb.dataset.k));
    else if (lead) show(place(lead.dataset.lead));
    else if (mark) seek(frames[place(mark.dataset.mark)].time);
    else if (timed) {
      const time = Number(timed.dataset.t);
      if (timed.dataset.here || player || !frames.length) {
        seek(time);
        if (!timed.dataset.here) (player || plot).scrollIntoView({ block: "center" });
      } else show(nearest(frameTimes, time), time);
    }
  });
  byId("toggle-marks")?.addEventListener("click", (event) => {
    const on = document.body.classList.toggle("no-marks");
    event.currentTarget.setAttribute("aria-pressed", String(!on));
  });
  document.querySelectorAll("[data-lead]").forEach((item) => {
    const index = frames.findIndex((frame) => frame.index === Number(item.dataset.lead));
    if (index < 0) return;
    item.append(pictureOf(index));
    item.hidden = false;
  });
  if (stage) {
    stage.hidden = false;
    byId("stage-open").addEventListener("click", () => show(shown));
    byId("stage-prev").addEventListener("click", () => step(-1));
    byId("stage-next").addEventListener("click", () => step(1));
  }

  // Boxes over the playing video, interpolated between the tracker's rows.
  const live = byId("live");
  const boxAt = (track, time) => {
    const times = track.times;
    if (time < times[0] - 0.2 || time > times[times.length - 1] + 0.2) return null;
    let low = 0, high = times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle;
      else high = middle;
    }
    const share = high > low ? Math.min(Math.max((time - times[low]) / (times[high] - times[low]), 0), 1) : 0;
    return track.boxes[low].map((value, side) => value + share * (track.boxes[high][side] - value));
  };
  const draw = () => {
    const canvas = live.querySelector("svg"), view = canvas.viewBox.baseVal;
    const centres = new Map();
    canvas.replaceChildren();
    live.querySelectorAll(".tag").forEach((item) => item.remove());
    data.tracks.forEach((track) => {
      const box = boxAt(track, player.currentTime);
      if (!box) return;
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      mark.setAttribute("class", `a${track.colour}`);
      ["x", "y"].forEach((name, side) => mark.setAttribute(name, box[side]));
      mark.setAttribute("width", Math.max(box[2] - box[0], 0));
      mark.setAttribute("height", Math.max(box[3] - box[1], 0));
      canvas.append(mark);
      const tag = element("span", track.name, `tag a${track.colour}`);
      tag.style.left = `${(100 * box[0]) / view.width}%`;
      tag.style.top = `calc(${(100 * Math.max(box[1], 0)) / view.height}% - ${box[1] > view.height * 0.05 ? 17 : 0}px)`;
      live.append(tag);
      centres.set(track.id, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
    });
    data.relations.forEach((item) => {
      const [from, to] = item.pair.map((id) => centres.get(id));
      if (!from || !to || item.start > player.currentTime || player.currentTime > item.end) return;
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      [["x1", from[0]], ["y1", from[1]], ["x2", to[0]], ["y2", to[1]]].forEach(([name, at]) => line.setAttribute(name, at));
      canvas.append(line);
    });
    if (!player.paused && !player.ended) requestAnimationFrame(draw);
  };
  if (player) {
    const failed = () => { byId("player-error").hidden = false; };
    player.addEventListener("error", failed);
    if (player.error) failed();
    player.addEventListener("play", draw);
    ["seeked", "loadeddata", "pause"].forEach((name) => player.addEventListener(name, draw));
    player.addEventListener("timeupdate", () => {
      read(player.currentTime);
      if (frames.length) choose(nearest(frameTimes, player.currentTime));
    });
    player.addEventListener("loadedmetadata", () => { player.currentTime = data.start; }, { once: true });
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((item) => { item.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((item) => { item.open = false; }));

  read(now);
  if (frames.length) choose(nearest(frameTimes, now));
})();
