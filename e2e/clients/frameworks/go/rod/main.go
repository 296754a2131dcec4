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
	page.MustElement("#link").MustClick()
	page.MustWait(`() => document.title.includes("second")`)
	fmt.Println("clicked:", page.MustInfo().Title)
	browser.MustClose()
}
