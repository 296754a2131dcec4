*** Comments ***
Robot Framework's SeleniumLibrary:
GATEWAY_URL=http://any:KEY@... SITE_URL=http://... BROWSER=firefox robot page.robot

*** Settings ***
Library           SeleniumLibrary
Suite Teardown    Close All Browsers

*** Test Cases ***
A Link Leads To The Second Page
    Open Browser    %{SITE_URL}/    %{BROWSER=chrome}    remote_url=%{GATEWAY_URL}
    ${title} =    Get Title
    Log To Console    \ntitle: ${title}
    Click Link    link
    Wait Until Keyword Succeeds    10s    100ms    Title Should Be    browser-operator: second page
    ${title} =    Get Title
    Log To Console    clicked: ${title}
