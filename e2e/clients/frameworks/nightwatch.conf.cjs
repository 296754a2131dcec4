// Nightwatch's runner: GATEWAY_URL=http://any:KEY@... SITE_URL=http://... [BROWSER=firefox] nightwatch --config ...
const {BROWSER: browserName = 'chrome', GATEWAY_URL} = process.env;
const gateway = new URL(GATEWAY_URL);

module.exports = {
  output_folder: false,
  test_settings: {
    default: {
      webdriver: {
        start_process: false,
        host: gateway.hostname,
        port: Number(gateway.port || 80),
        username: gateway.username || undefined,
        access_key: gateway.password || undefined,
        default_path_prefix: '',
      },
      desiredCapabilities: {browserName},
      screenshots: {enabled: false},
    },
  },
};
