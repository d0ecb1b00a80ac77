#include <sockeye/sockeye.hpp>

#include <set>

using room = std::set<sockeye::stream*>;

/// One for each connection: what one says, all others hear.
class chat {
public:
    explicit chat(room& everybody) : everybody_(everybody) {}

    void on_open(sockeye::stream& me) { everybody_.insert(&me); }
    void on_data(sockeye::stream& me, sockeye::bytes said) {
        for (auto* other : everybody_) {
            if (other != &me) {
                other->write(said); // bounded: a reader that is too slow is closed
            }
        }
    }
    void on_close(sockeye::stream& me, const sockeye::close_info&) { everybody_.erase(&me); }

private:
    room& everybody_;
};

int main() {
    sockeye::loop loop;
    room lobby;
    auto server = sockeye::serve<chat>(loop, "tcp://127.0.0.1:7010", std::ref(lobby)).value();
    return loop.run() ? 1 : 0;
}
