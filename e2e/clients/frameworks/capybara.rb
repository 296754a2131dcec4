# Capybara on Selenium:
#   GATEWAY_URL=http://any:KEY@... SITE_URL=http://... [BROWSER=firefox] ruby capybara.rb
require 'capybara'
require 'selenium-webdriver'

Capybara.register_driver :gateway do |app|
  options =
    ENV['BROWSER'] == 'firefox' ? Selenium::WebDriver::Options.firefox : Selenium::WebDriver::Options.chrome
  Capybara::Selenium::Driver.new(app, browser: :remote, url: ENV.fetch('GATEWAY_URL'), capabilities: options)
end
Capybara.run_server = false
Capybara.app_host = ENV.fetch('SITE_URL')

session = Capybara::Session.new(:gateway)
begin
  session.visit('/')
  puts "title: #{session.title}"
  session.click_link('A second page')
  session.assert_title('browser-operator: second page', wait: 10)
  puts "clicked: #{session.title}"
ensure
  session.quit
end
