// Follows an audit run that goes on, and shows the page anew when it ends.
const place = document.querySelector("[data-run]");
const follow = async () => {
  const answer = await fetch(`/api/v1/audit-runs/${encodeURIComponent(place.dataset.run)}`);
  if (answer.ok) {
    const run = await answer.json();
    if (run.state !== "running") return location.reload();
    const bar = document.getElementById("progress");
    bar.max = run.steps_total;
    bar.value = run.steps_done;
    document.getElementById("count").textContent = `${run.steps_done} / ${run.steps_total}`;
    document.getElementById("step").textContent = run.step;
  }
  setTimeout(follow, 1000);
};
follow();
