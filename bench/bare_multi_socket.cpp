// SPDX-License-Identifier: Apache-2.0
// not a bench by itself: fetch_rivals.py runs it
// link: curl
//
// bare_multi_socket CONNECTIONS LIST: fetches every URL of the list and throws the bodies away. The least
// that a loop over libcurl's multi_socket can do: epoll, one easy handle per connection, nothing checked but
// the status. What `plait fetch` spends beyond it is plait's own.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace {

struct loop {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    CURLM* multi = curl_multi_init();
    bool timer_due = false; // asked for "at once": cheaper than a timer of zero
    std::ifstream list;
    std::size_t running = 0;
    std::size_t failed = 0;
};

int on_socket(CURL*, curl_socket_t socket, int what, void* user, void* known) {
    loop& l = *static_cast<loop*>(user);
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(l.epoll, EPOLL_CTL_DEL, socket, nullptr);
        return 0;
    }
    epoll_event event{};
    event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0U);
    event.data.fd = socket;
    epoll_ctl(l.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
    curl_multi_assign(l.multi, socket, &l);
    return 0;
}

int on_timer(CURLM*, long milliseconds, void* user) {
    loop& l = *static_cast<loop*>(user);
    l.timer_due = milliseconds == 0;
    itimerspec when{};
    if (milliseconds > 0) {
        when.it_value.tv_sec = milliseconds / 1000;
        when.it_value.tv_nsec = milliseconds % 1000 * 1000000;
    }
    timerfd_settime(l.timer, 0, &when, nullptr);
    return 0;
}

std::size_t on_body(char*, std::size_t size, std::size_t count, void*) { return size * count; }

bool next(loop& l, CURL* easy) {
    std::string url;
    if (!std::getline(l.list, url)) return false;
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_multi_add_handle(l.multi, easy);
    ++l.running;
    return true;
}

void collect(loop& l) {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(l.multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        CURL* easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result != CURLE_OK || status != 200) ++l.failed;
        curl_multi_remove_handle(l.multi, easy);
        --l.running;
        if (!next(l, easy)) curl_easy_cleanup(easy);
    }
}

void drive(loop& l) {
    std::vector<epoll_event> events(256);
    int still = 0;
    while (l.running > 0) {
        if (l.timer_due) {
            l.timer_due = false;
            curl_multi_socket_action(l.multi, CURL_SOCKET_TIMEOUT, 0, &still);
            collect(l);
            if (l.timer_due || l.running == 0) continue;
        }
        const int ready = epoll_wait(l.epoll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.fd == l.timer) {
                l.timer_due = true;
                continue;
            }
            const int mask = ((event.events & (EPOLLIN | EPOLLHUP)) ? CURL_CSELECT_IN : 0) |
                             ((event.events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                             ((event.events & EPOLLERR) ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(l.multi, event.data.fd, mask, &still);
        }
        collect(l);
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: bare_multi_socket CONNECTIONS LIST\n", stderr);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    loop l;
    l.list.open(argv[2]);
    curl_multi_setopt(l.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l.multi, CURLMOPT_SOCKETDATA, &l);
    curl_multi_setopt(l.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(l.multi, CURLMOPT_TIMERDATA, &l);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.fd = l.timer;
    epoll_ctl(l.epoll, EPOLL_CTL_ADD, l.timer, &event);
    for (long i = std::atol(argv[1]); i > 0; --i) {
        CURL* easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        if (!next(l, easy)) curl_easy_cleanup(easy);
    }
    drive(l);
    curl_multi_cleanup(l.multi);
    close(l.epoll);
    close(l.timer);
    if (l.failed > 0) std::fprintf(stderr, "bare_multi_socket: %zu failed\n", l.failed);
    return l.failed > 0 ? 1 : 0;
}
