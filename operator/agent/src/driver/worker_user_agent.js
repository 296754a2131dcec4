// What Emulation.setUserAgentOverride does not change in workers (seen with Chromium 156): their platform, and the user
// agent of those that belong to no page.
((platform, userAgent) => {
    const set = (name, value) => Object.defineProperty(WorkerNavigator.prototype, name, {
        get: () => value, enumerable: true, configurable: true,
    });
    set('platform', platform);
    set('userAgent', userAgent);
    set('appVersion', userAgent.replace('Mozilla/', ''));
})
