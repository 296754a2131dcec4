# Selenium for Ruby:
#   GATEWAY_URL=http://any:KEY@... SITE_URL=http://... [BROWSER=firefox] ruby selenium.rb
require 'selenium-webdriver'

options =
  ENV['BROWSER'] == 'firefox' ? Selenium::WebDriver::Options.firefox : Selenium::WebDriver::Options.chrome
driver = Selenium::WebDriver.for(:remote, url: ENV.fetch('GATEWAY_URL'), capabilities: options)
begin
  driver.get("#{ENV.fetch('SITE_URL')}/")
  puts "title: #{driver.title}"
  driver.find_element(id: 'link').click
  Selenium::WebDriver::Wait.new(timeout: 10).until { driver.title.include?('second') }
  puts "clicked: #{driver.title}"
ensure
  driver.quit
end
