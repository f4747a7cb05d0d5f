namespace Hull.ApiFuzz.Tests;

/// <summary>A well-formed request to begin with. The workload <c>c1</c> and the image <c>busybox</c> exist.</summary>
internal sealed record Seed(string Method, string Path, string Body = "");

/// <summary>One seed or more for every kind of endpoint, with as many members as a client ever sends.</summary>
internal static class Corpus
{
    private const string Create = """
        {"Image":"busybox","Cmd":["true"],"Entrypoint":null,"Env":["A=b"],"Labels":{"fuzz":"1"},"User":"0:0","WorkingDir":"/tmp","Tty":false,"OpenStdin":false,
        "ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"StopSignal":"SIGTERM","StopTimeout":1,"Healthcheck":{"Test":["CMD","true"],"Interval":1000000000,"Timeout":1000000000,"Retries":3},
        "HostConfig":{"Memory":67108864,"NanoCpus":500000000,"CpuShares":512,"CpusetCpus":"0","PidsLimit":20,"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"0"}]},
        "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":1},"CapAdd":["NET_ADMIN"],"CapDrop":["ALL"],"Dns":["1.1.1.1"],"ExtraHosts":["a:1.2.3.4"],"GroupAdd":["1"],"IpcMode":"private",
        "OomScoreAdj":10,"PidMode":"","ReadonlyRootfs":false,"SecurityOpt":["no-new-privileges"],"ShmSize":1048576,"Sysctls":{"net.ipv4.ip_forward":"1"},"Tmpfs":{"/t":"size=1m"},
        "Ulimits":[{"Name":"nofile","Soft":100,"Hard":100}],"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},"Mounts":[{"Type":"volume","Target":"/m","Source":"fuzz"}],
        "Devices":[],"BlkioWeight":0,"AutoRemove":false,"Init":false,"NetworkMode":"bridge"},"NetworkingConfig":{"EndpointsConfig":{"bridge":{"Aliases":["x"]}}}}
        """;

    public static IReadOnlyList<Seed> Seeds { get; } =
    [
        new("GET", "/_ping"), new("HEAD", "/_ping"), new("GET", "/v1.41/version"), new("GET", "/info"), new("GET", "/system/df?type=container"),
        new("GET", "/events?since=0&until=1&filters=%7B%22type%22%3A%5B%22container%22%5D%7D"),
        new("GET", "/v1.51/containers/json?all=1&limit=3&size=1&filters=%7B%22status%22%3A%5B%22running%22%5D%2C%22label%22%3A%5B%22a%3Db%22%5D%7D"),
        new("POST", "/containers/create?name=fz", Create), new("POST", "/containers/create", Create), new("POST", "/containers/create?platform=linux/amd64", Create),
        new("GET", "/containers/c1/json?size=1"), new("GET", "/containers/c1/top?ps_args=-ef"), new("GET", "/containers/c1/logs?stdout=1&stderr=1&since=1&until=2&tail=10&timestamps=1&follow=0"),
        new("GET", "/containers/c1/changes"), new("GET", "/containers/c1/stats?stream=0&one-shot=1"), new("POST", "/containers/c1/resize?h=10&w=20"),
        new("POST", "/containers/c1/update", """{"Memory":67108864,"CpuShares":10,"RestartPolicy":{"Name":"no"},"PortBindings":{"81/tcp":[{"HostPort":""}]}}"""),
        new("POST", "/containers/c1/rename?name=c1"), new("POST", "/containers/c1/pause"), new("POST", "/containers/c1/unpause"), new("POST", "/containers/fz/start?detachKeys=ctrl-p,ctrl-q"),
        new("POST", "/containers/fz/stop?t=0&signal=SIGKILL"), new("POST", "/containers/fz/kill?signal=KILL"), new("POST", "/containers/fz/wait?condition=not-running"),
        new("POST", "/containers/c1/attach?stream=1&stdout=1&stdin=1&logs=1"), new("DELETE", "/containers/fz?force=1&v=1"),
        new("GET", "/containers/c1/archive?path=/etc"), new("HEAD", "/containers/c1/archive?path=/etc/passwd"), new("PUT", "/containers/c1/archive?path=/tmp&noOverwriteDirNonDir=1", "not a tar"),
        new("POST", "/containers/c1/exec", """{"Cmd":["true"],"AttachStdout":true,"AttachStderr":true,"Tty":false,"Env":["A=b"],"User":"root","WorkingDir":"/","Privileged":false,"DetachKeys":"ctrl-x"}"""),
        new("POST", "/exec/0123456789abcdef/start", """{"Detach":false,"Tty":false,"ConsoleSize":[10,20]}"""), new("GET", "/exec/0123456789abcdef/json"),
        new("POST", "/containers/prune?filters=%7B%22until%22%3A%5B%221h%22%5D%7D"), new("POST", "/commit?container=c1&repo=fz&tag=1&comment=x&author=y&changes=CMD%20true&pause=0"),
        new("GET", "/images/json?all=1&filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D"), new("GET", "/images/busybox/json"), new("GET", "/images/busybox:latest/history"),
        new("POST", "/images/busybox/tag?repo=fz&tag=2"), new("DELETE", "/images/fz:2?force=1&noprune=1"), new("POST", "/images/load?quiet=1", "not a tar"),
        new("POST", "/images/create?fromSrc=-&repo=fz&tag=3", "not a tar"), new("GET", "/images/get?names=busybox"), new("GET", "/distribution/busybox/json"), new("GET", "/images/search?term=x"),
        new("GET", "/networks?filters=%7B%22driver%22%3A%5B%22bridge%22%5D%7D"), new("GET", "/networks/bridge?verbose=1"), new("DELETE", "/networks/fz"), new("POST", "/networks/prune"),
        new("POST", "/networks/create", """{"Name":"fz","Driver":"bridge","Internal":true,"EnableIPv6":false,"IPAM":{"Driver":"default","Config":[{"Subnet":"10.99.0.0/24","Gateway":"10.99.0.1","IPRange":"10.99.0.0/25"}]},"Options":{"a":"b"},"Labels":{"fuzz":"1"}}"""),
        new("POST", "/networks/fz/connect", """{"Container":"c1","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.99.0.9"},"Aliases":["y"],"MacAddress":"02:42:0a:63:00:09"}}"""),
        new("POST", "/networks/fz/disconnect", """{"Container":"c1","Force":true}"""),
        new("GET", "/volumes?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D"), new("POST", "/volumes/create", """{"Name":"fz","Driver":"local","DriverOpts":{},"Labels":{"fuzz":"1"}}"""),
        new("GET", "/volumes/fz"), new("DELETE", "/volumes/fz?force=1"), new("POST", "/volumes/prune"), new("POST", "/auth", """{"username":"a","password":"b","serveraddress":"localhost:1"}"""),
        new("GET", "/metrics"), new("POST", "/build"), new("POST", "/session"), new("GET", "/swarm"), new("GET", "/plugins"), new("GET", "/hull/v1/doctor?leaks=1"),
        new("POST", "/hull/v1/run?attach=stdout,stderr&name=fz", Create), new("GET", "/hull/v1/machines"),
        new("POST", "/hull/v1/machines", """{"Name":"fz","Memory":1048576,"Cpus":1,"Disks":[{"Source":"fz-none"}]}"""), new("OPTIONS", "/x"),
    ];
}
