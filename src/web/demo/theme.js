// Before the first paint: a theme once chosen does not flash.
(() => {
	const chosen = localStorage.getItem("beckon.theme");
	if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
