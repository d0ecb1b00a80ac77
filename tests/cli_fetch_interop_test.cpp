#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <poll.h>
#include <unistd.h>

using support::is_installed;
using support::process;
using support::words;

namespace {

std::string whole_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A directory `www` with some files to serve.
class web_site {
public:
    web_site() {
        std::filesystem::create_directories(directory_.file("www/sub"));
        std::mt19937 random(7);
        std::string large(2'000'000, '\0');
        std::ranges::generate(large, [&] { return static_cast<char>(random()); });
        write("www/large.bin", large);
        write("www/empty", "");
        write("www/a b.txt", "with a space\n");
        write("www/sub/index.html", "the index\n");
    }

    [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(file(name), std::ios::binary) << content;
    }
    /// Gets everything from `server`, `http://HOST:PORT`, and compares.
    void compare(const std::string& server) const;

private:
    support::scratch_directory directory_;
};

void web_site::compare(const std::string& server) const {
    const auto target = file("target");
    const auto fetch = [&](const std::string& path, const words& more = {}) {
        words all = {"fetch", "-f", "-o", target, server + path};
        all.insert(all.end(), more.begin(), more.end());
        return support::run_program(all);
    };
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        CHECK(fetch("/large.bin", {"-b", backend}).status == 0);
        CHECK((whole_file(target) == whole_file(file("www/large.bin"))));
    }
    CHECK(fetch("/empty").status == 0);
    CHECK(whole_file(target).empty());
    CHECK(fetch("/x/../a%20b.txt").status == 0);
    CHECK(whole_file(target) == "with a space\n");
    CHECK(fetch("/sub", {"-L"}).status == 0);
    CHECK(whole_file(target) == "the index\n");
    CHECK(fetch("/nope").status == 1);
    const auto head = support::run_program({"fetch", "-I", server + "/large.bin"});
    CHECK(head.status == 0);
    CHECK(head.output.find(": 2000000\n") != std::string::npos);
    if (is_installed("curl")) {
        for (const auto* path : {"/large.bin", "/empty", "/a%20b.txt", "/sub/", "/nope"}) {
            CAPTURE(path);
            const auto theirs = support::run({"curl", "-s", "--noproxy", "*", server + path});
            const auto ours = support::run_program({"fetch", "-qo", "-", server + path});
            CHECK((ours.output == theirs.output));
        }
    }
}

} // namespace

TEST_CASE("interop: fetch from python3's http.server" * doctest::skip(!is_installed("python3"))) {
    const web_site site;
    process server({"python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory",
                    site.file("www")});
    const auto line = server.output_line();
    const auto port = line.find(" port ");
    REQUIRE(port != std::string::npos);
    site.compare("http://127.0.0.1:" + std::to_string(std::stoi(line.substr(port + 6))));
}

TEST_CASE("interop: fetch from nginx" *
          doctest::skip(!is_installed("nginx") && ::access("/usr/sbin/nginx", X_OK) != 0)) {
    const web_site site;
    // It cannot choose a port, nor say which it has: it takes over a socket that listens already,
    // as when it replaces itself. See: "Upgrading Executable on the Fly" in its manual.
    constexpr const char* starter = R"(
import os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(16)
port = listener.getsockname()[1]
os.dup2(listener.fileno(), 9)
config = sys.argv[1] + '/nginx.conf'
open(config, 'w').write('''
daemon off; worker_processes 1; %(user)s pid %(at)s/pid; error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off; server_name_in_redirect off;
  client_body_temp_path %(at)s/t1; proxy_temp_path %(at)s/t2; fastcgi_temp_path %(at)s/t3;
  uwsgi_temp_path %(at)s/t4; scgi_temp_path %(at)s/t5;
  server { listen 127.0.0.1:%(port)d; root %(at)s/www; }
}''' % {'at': sys.argv[1], 'port': port,
       # Its worker is somebody else otherwise, who may not look here.
       'user': 'user root root;' if os.geteuid() == 0 else ''})
print(port, flush=True)
os.environ['NGINX'] = '9;'
os.environ['PATH'] += ':/usr/sbin'
os.execvp('nginx', ['nginx', '-e', 'stderr', '-p', sys.argv[1], '-c', config])
)";
    if (!is_installed("python3")) {
        MESSAGE("skipped: python3 is missing");
        return;
    }
    process server({"python3", "-c", starter, site.file("")});
    const auto port = server.output_line();
    CHECK_FALSE(port.empty());
    site.compare("http://127.0.0.1:" + port);
    // Its worker would stay behind where it were killed.
    server.send_signal(SIGTERM);
    CHECK(server.wait().status == 0);
}
