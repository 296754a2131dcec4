// go-rod with a session's CDP URL: CDP_URL=ws://... SITE_URL=http://... go run ./rod
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/go-rod/rod"
)

func main() {
	browser := rod.New().ControlURL(os.Getenv("CDP_URL")).MustConnect().Timeout(time.Minute)
	page := browser.MustPage(os.Getenv("SITE_URL") + "/")
	fmt.Println("title:", page.MustWaitLoad().MustInfo().Title)
	// Asked while the page goes away, it would fail with "Inspected target navigated or closed".
	navigated := page.MustWaitNavigation()
	page.MustElement("#link").MustClick()
	navigated()
	fmt.Println("clicked:", page.MustInfo().Title)
	browser.MustClose()
}
