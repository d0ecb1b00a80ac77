#include "cli/part_file.hpp"

#include "cli/common.hpp"
#include "cli/host.hpp"

#include <filesystem>
#include <system_error>

namespace sockeye::cli {
namespace {

namespace files = std::filesystem;

/// What is at `path` itself: links are not followed.
files::file_type type_at(const std::string& path) {
    std::error_code ignored;
    return files::symlink_status(path, ignored).type();
}

bool is_there(files::file_type type) {
    return type != files::file_type::not_found && type != files::file_type::none;
}

/// The directory that the file is to be in.
std::string directory_of(const std::string& path) {
    const auto parent = files::path(path).parent_path();
    return parent.empty() ? "." : parent.string();
}

} // namespace

part_file::part_file(std::string path, existing policy)
    : path_(std::move(path)), part_(path_ + ".part"), policy_(policy) {
    std::error_code ignored;
    is_device_ = files::status(path_, ignored).type() == files::file_type::character;
    if (is_device_) {
        part_ = path_;
    } else {
        look();
    }
}

/// Refuses what can be seen to be hopeless.
void part_file::look() const {
    std::error_code error;
    if (!files::is_directory(directory_of(path_), error)) {
        refuse(path_, "there is no such directory");
    }
    const auto type = type_at(path_);
    if (type == files::file_type::directory || path_.ends_with('/')) {
        refuse(path_, "is a directory");
    }
    if (is_there(type) && type != files::file_type::regular && type != files::file_type::symlink) {
        refuse(path_, "is no regular file");
    }
    if (is_there(type) && policy_ == existing::keep) {
        refuse(path_, "is there already; -f overwrites it, -o FILE chooses another");
    }
    const auto part_type = type_at(part_);
    if (part_type == files::file_type::directory) {
        refuse(part_, "is a directory");
    }
    if (is_there(part_type) && policy_ == existing::keep) {
        refuse(part_, "is there already, perhaps from an earlier try; -f overwrites it");
    }
}

void part_file::open() {
    if (is_device_) {
        auto opened = open_device(path_);
        if (!opened) {
            refuse(path_, opened.error().message());
        }
        file_ = std::move(opened).value();
        return;
    }
    if (policy_ == existing::replace) {
        std::error_code error;
        files::remove(part_, error);
        if (error) {
            refuse(part_, error.message());
        }
    }
    auto made = make_file(part_);
    if (!made) {
        refuse(part_, made.error().message());
    }
    file_ = std::move(made).value();
}

void part_file::write(std::string_view data) {
    while (!data.empty()) {
        const auto taken = write_file(file_.get(), data);
        if (!taken) {
            refuse(part_, taken.error().message());
        }
        written_ += *taken;
        data.remove_prefix(*taken);
    }
}

void part_file::finish() {
    if (const auto error = close_file(std::move(file_))) {
        refuse(part_, error.message());
    }
    if (is_device_) {
        return;
    }
    const auto error =
        policy_ == existing::replace ? rename_file(part_, path_) : name_new_file(part_, path_);
    if (error == std::errc::file_exists) {
        refuse(path_, fmt::format("came to be meanwhile and is kept; what was fetched is in {}",
                                  escape(part_)));
    }
    if (error) {
        refuse(path_, fmt::format("{}; what was fetched is in {}", error.message(), escape(part_)));
    }
}

void part_file::refuse(const std::string& path, const std::string& why) const {
    throw command_error(exit_failed, fmt::format("{}: {}", escape(path), why));
}

} // namespace sockeye::cli
