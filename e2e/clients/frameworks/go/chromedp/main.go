// chromedp with a session's CDP URL: CDP_URL=ws://... SITE_URL=http://... [NO_MODIFY_URL=1] go run ./chromedp
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/chromedp/chromedp"
)

func main() {
	// Unless it is told otherwise, it asks the URL's host for /json/version, and takes the socket named there.
	var options []func(*chromedp.RemoteAllocator)
	if os.Getenv("NO_MODIFY_URL") != "" {
		options = append(options, chromedp.NoModifyURL)
	}
	limited, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	remote, forget := chromedp.NewRemoteAllocator(limited, os.Getenv("CDP_URL"), options...)
	defer forget()
	browser, leave := chromedp.NewContext(remote)
	defer leave()
	var title, clicked string
	err := chromedp.Run(browser,
		chromedp.Navigate(os.Getenv("SITE_URL")+"/"),
		chromedp.Title(&title),
		chromedp.Click("#link", chromedp.ByQuery),
		chromedp.WaitReady("#sent", chromedp.ByQuery),
		chromedp.Title(&clicked),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("title:", title)
	fmt.Println("clicked:", clicked)
	if err := chromedp.Cancel(browser); err != nil {
		log.Fatal(err)
	}
}
