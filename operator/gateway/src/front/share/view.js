// Shows a picture, and two seconds after it the next. While none can be taken, as while a dialog is open, the last one stays.
const shown = document.querySelector('img');
const next = () => setTimeout(load, 2000);
const load = () => {
  const picture = new Image();
  picture.onload = () => { shown.src = picture.src; next(); };
  picture.onerror = async () => {
    try {
      const answer = await fetch(location.href, {method: 'HEAD', cache: 'no-store'});
      const ended = answer.status === 404 || (answer.ok && !answer.headers.has('x-session-lives'));
      if (ended) setTimeout(() => location.reload(), 2000); else next();
    } catch { next(); }
  };
  picture.src = shown.dataset.src + '?' + Date.now();
};
load();
