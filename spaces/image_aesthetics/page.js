() => {
  // The page is shown once nothing moves any more: Gradio fills it part by part.
  const show = () => document.documentElement.classList.add("still");
  let waiting = setTimeout(show, 150);
  new MutationObserver((_, observer) => {
    clearTimeout(waiting);
    if (document.documentElement.classList.contains("still")) observer.disconnect();
    else waiting = setTimeout(show, 150);
  }).observe(document.body, { childList: true, subtree: true });

  // What cannot be asked about is refused before it is sent, with a word beside the place where it was put.
  const limit = MAX_FILE_BYTES;
  const complain = (files, folders) => {
    if (folders.length) return `${folders.join(", ")}: a folder. Choose the pictures in it.`;
    const others = files.filter((file) => file.type && !file.type.startsWith("image/"));
    if (others.length) return `${others.map((file) => file.name).join(", ")}: no picture.`;
    const large = files.filter((file) => file.size > limit);
    const sizes = large.map((file) => `${file.name} has ${Math.ceil(file.size / 2 ** 20)} MB`);
    return large.length ? `At most ${limit / 2 ** 20} MB, but ${sizes.join(", ")}. Save it smaller.` : "";
  };

  // Gradio takes a dropped or pasted picture only where there is none yet; here it takes the place of the one before.
  const replacePicture = (file) => {
    document.querySelector("#picture [aria-label='Remove Image']")?.click();
    const give = () => {
      const input = document.querySelector("#picture input[type=file]");
      if (!input) return requestAnimationFrame(give);
      const carrier = new DataTransfer();
      carrier.items.add(file);
      input.files = carrier.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    };
    give();
  };

  const receive = (event) => {
    const carrier = event.dataTransfer ?? event.clipboardData;
    const files = [...(event.type === "change" ? event.target.files ?? [] : carrier?.files ?? [])];
    if (!files.length) return;
    const entries = [...(carrier?.items ?? [])].map((item) => item.webkitGetAsEntry?.());
    const folders = entries.filter((entry) => entry?.isDirectory).map((entry) => entry.name);
    const isOne = document.querySelector("#picture")?.offsetParent != null;
    const told = document.querySelector(`#${isOne ? "picture" : "pictures"}_limit [role=alert]`);
    if (!told) return;
    told.textContent = complain(files, folders);
    if (told.textContent || (isOne && carrier)) {
      event.stopImmediatePropagation();
      event.preventDefault();
      if (!carrier) event.target.value = "";
      else if (!told.textContent) replacePicture(files[0]);
    }
  };
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, receive, true);
  // what misses its place must not open in place of the page
  for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
}
