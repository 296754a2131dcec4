import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.openqa.selenium.By;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.UnexpectedAlertBehaviour;
import org.openqa.selenium.bidi.module.Network;
import org.openqa.selenium.bidi.network.AddInterceptParameters;
import org.openqa.selenium.bidi.network.BytesValue;
import org.openqa.selenium.bidi.network.InterceptPhase;
import org.openqa.selenium.bidi.network.ProvideResponseParameters;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.firefox.FirefoxOptions;
import org.openqa.selenium.remote.AbstractDriverOptions;
import org.openqa.selenium.remote.LocalFileDetector;
import org.openqa.selenium.remote.RemoteWebDriver;
import org.openqa.selenium.support.ui.ExpectedConditions;
import org.openqa.selenium.support.ui.WebDriverWait;

/**
 * A stock Selenium client: a remote WebDriver like any other.
 *
 * <pre>
 * mvn compile
 * GATEWAY_URL=http://... SITE_URL=http://... [BROWSER=firefox] \
 *     java -cp 'target/classes:target/dependency/*' SeleniumPage [file.png]
 * </pre>
 */
public final class SeleniumPage {
  public static void main(String[] args) throws Exception {
    var gateway = URI.create(System.getenv("GATEWAY_URL")).toURL();
    var site = System.getenv("SITE_URL");
    var picture = Path.of(args.length > 0 ? args[0] : "page.png").toAbsolutePath();
    AbstractDriverOptions<?> options =
        "firefox".equals(System.getenv("BROWSER")) ? new FirefoxOptions() : new ChromeOptions();
    options.setCapability("webSocketUrl", true);
    // With BiDi on, a browser closes alerts by itself unless it is told to leave them to us.
    options.setUnhandledPromptBehaviour(UnexpectedAlertBehaviour.IGNORE);

    var driver = new RemoteWebDriver(gateway, options);
    try {
      System.out.println("session: " + driver.getSessionId());
      var wait = new WebDriverWait(driver, Duration.ofSeconds(10));
      var heard = new CompletableFuture<String>();
      driver.script().addConsoleMessageHandler(entry -> heard.complete(entry.getText()));

      driver.get(site + "/");
      System.out.println("title: " + driver.getTitle());
      driver.findElement(By.id("name")).sendKeys("selenium");
      driver.findElement(By.id("submit")).click();
      System.out.println("sent: " + text(wait, "sent"));

      System.out.println("browser: " + driver.executeScript("return navigator.userAgent"));
      driver.executeScript("console.log(arguments[0])", "hello from the page");
      System.out.println("console: " + heard.get(10, TimeUnit.SECONDS));

      Files.write(picture, driver.getScreenshotAs(OutputType.BYTES));
      System.out.println("screenshot: " + picture);

      driver.get(site + "/alert.html");
      driver.findElement(By.id("open")).click();
      var alert = wait.until(ExpectedConditions.alertIsPresent());
      System.out.println("alert: " + alert.getText());
      alert.accept();

      // The file is here and the browser is elsewhere: Selenium sends it over.
      driver.setFileDetector(new LocalFileDetector());
      driver.get(site + "/upload.html");
      driver.findElement(By.id("file")).sendKeys(picture.toString());
      System.out.println("uploaded: " + text(wait, "read"));

      try (var network = new Network(driver)) {
        network.addIntercept(
            new AddInterceptParameters(InterceptPhase.BEFORE_REQUEST_SENT)
                .urlStringPattern(site + "/answer.txt"));
        network.onBeforeRequestSent(
            request -> {
              if (request.isBlocked()) {
                network.provideResponse(
                    new ProvideResponseParameters(request.getRequest().getRequestId())
                        .statusCode(200)
                        .body(new BytesValue(BytesValue.Type.STRING, "hello from the client")));
              }
            });
        driver.get(site + "/fetch.html");
        System.out.println("intercepted: " + text(wait, "answer"));
      }
    } finally {
      driver.quit();
    }
  }

  /** What an element says, as soon as it says something. */
  private static String text(WebDriverWait wait, String id) {
    return wait.until(
        driver -> {
          var said = driver.findElement(By.id(id)).getText();
          return said.isEmpty() ? null : said;
        });
  }
}
