// Over every spectrogram of a clip a cursor goes with the sound; one clip is heard at a time.
(() => {
  const players = [...document.querySelectorAll(".heard audio")];
  for (const player of players) {
    const clip = player.closest(".heard"), seconds = Number(clip.dataset.seconds);
    const show = () => {
      clip.dataset.started = "";
      clip.style.setProperty("--at", Math.min(1, player.currentTime / seconds));
    };
    const follow = () => {
      show();
      if (!player.paused) requestAnimationFrame(follow);
    };
    player.addEventListener("play", () => {
      for (const other of players) if (other !== player) other.pause();
      follow();
    });
    player.addEventListener("seeking", show);
    for (const picture of clip.querySelectorAll(".spectrogram")) {
      picture.addEventListener("click", event => {
        const box = picture.getBoundingClientRect();
        player.currentTime = seconds * (event.clientX - box.left) / box.width;
      });
    }
  }
})();
