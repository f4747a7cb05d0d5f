using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Volumes;
using Hull.Images;
using Hull.Images.Snapshots;

namespace Hull.Engine.Workloads;

/// <summary>Creation: the name is taken first, everything else is undone when a later step fails.</summary>
internal sealed partial class WorkloadService
{
    public async Task<CreateResult> CreateAsync(WorkloadConfig config, CancellationToken cancellationToken)
    {
        ConfigValidation.Check(config, Options);
        var id = RandomId.New();
        var name = TakeName(id, config.Name);
        var madeVolumes = new List<string>();
        try
        {
            var image = config.RootDirectory is null ? ResolveImage(config) : null;
            var isolation = config.Isolation is null or "" or "default" ? Options.DefaultIsolation : config.Isolation;
            var driver = DriverOf(isolation);
            var process = ProcessMerge.Merge(config, image?.Config.Config);
            if (process.Arguments.Count == 0) throw HullException.Invalid("no command specified: the image has none, give one after the image's name");
            var record = new WorkloadRecord
            {
                Id = id,
                Name = name,
                CreatedAt = Now,
                Config = ResolveReferences(config with { Name = name }),
                Process = process,
                ImageId = image?.Id.ToString() ?? "",
                ManifestDigest = image?.Manifest.Descriptor.Digest.ToString() ?? "",
                Isolation = isolation,
                Platform = image?.Platform.ToString() ?? Platform.Host.ToString(),
                LogDriver = config.Log.Driver is { Length: > 0 } chosen ? chosen : Options.DefaultLogDriver,
                LogOptions = MergeLogOptions(config.Log),
                Labels = Merge(image?.Config.Config?.Labels, config.Labels),
                Networks = AttachmentsOf(config),
            };
            record = WithUserNamespace(record);
            _ = LogSettings.ToSpec(record, "");
            CheckReservation(record);
            var warnings = ConfigValidation.Warnings(config).ToList();
            _store.CreateDirectory(id);
            if (image is not null) await PrepareRootAsync(id, image, cancellationToken).ConfigureAwait(false);
            record = record with { HasSnapshot = image is not null };
            record = record with { Mounts = await ResolveMountsAsync(record, madeVolumes, cancellationToken).ConfigureAwait(false) };
            warnings.AddRange(driver.Validate(BuildInstance(new Workload(record, new WorkloadState()), NoNetwork, record.Mounts)));
            await CopyUpAsync(record, cancellationToken).ConfigureAwait(false);
            var workload = new Workload(record, new WorkloadState());
            _store.Write(record);
            _workloads[id] = workload;
            HoldVolumes(record);
            Publish(workload, "create");
            return new CreateResult(id, warnings);
        }
        catch
        {
            await UndoCreateAsync(id, name, madeVolumes).ConfigureAwait(false);
            throw;
        }
        finally
        {
            _reservedMaps.TryRemove(id, out _);
        }
    }

    /// <summary>Names are one letter or digit and then letters, digits, <c>_</c>, <c>.</c> and <c>-</c>.</summary>
    internal static void CheckName(string name)
    {
        if (name.Length is < 2 or > 128 || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-'))
            throw HullException.Invalid($"invalid container name '{name}': use 2 to 128 of [a-zA-Z0-9_.-], beginning with a letter or digit");
    }

    private string TakeName(string id, string? wanted)
    {
        if (string.IsNullOrEmpty(wanted))
        {
            while (true)
            {
                var name = NameGenerator.Next(_names.ContainsKey);
                if (_names.TryAdd(name, id)) return name;
            }
        }

        var clean = wanted.TrimStart('/');
        CheckName(clean);
        if (_names.TryAdd(clean, id)) return clean;
        var owner = _names.TryGetValue(clean, out var taken) ? taken : "another";
        throw HullException.Conflict($"the container name \"/{clean}\" is already in use by container \"{owner}\": remove or rename it to use the name again");
    }

    private Image ResolveImage(WorkloadConfig config)
    {
        var images = _services.Images ?? throw HullException.Unsupported("this engine has no image store");
        if (config.Image.Length == 0) throw HullException.Invalid("no image given");
        return images.Resolve(config.Image, config.Platform is { Length: > 0 } platform ? Platform.Parse(platform) : null);
    }

    /// <summary>Other workloads are named by id from now on: a rename must not change what was meant.</summary>
    private WorkloadConfig ResolveReferences(WorkloadConfig config)
    {
        // Not "not found": clients take that for a missing image and go and pull one.
        string? Fix(string? mode) => mode?.StartsWith("container:", StringComparison.Ordinal) != true ? mode
            : "container:" + (TryFind(mode[10..]) ?? throw HullException.Invalid($"cannot join a namespace of a non existing container: {mode[10..]}")).Id;
        return config with
        {
            Namespaces = config.Namespaces with { Pid = Fix(config.Namespaces.Pid), Ipc = Fix(config.Namespaces.Ipc), Uts = Fix(config.Namespaces.Uts), User = Fix(config.Namespaces.User) },
            Networking = config.Networking with { Mode = Fix(config.Networking.Mode) },
        };
    }

    private async Task PrepareRootAsync(string id, Image image, CancellationToken cancellationToken)
    {
        var images = _services.Images!;
        var chain = image.Chain;
        // Images are unpacked when they come; one that was not (loaded by another program) is now.
        if (chain is null || images.Snapshotter.Find(chain.Value.ToString()) is null)
            chain = await images.EnsureUnpackedAsync(image, cancellation: cancellationToken).ConfigureAwait(false);
        images.Snapshotter.Prepare(id, chain);
    }

    private Dictionary<string, string> MergeLogOptions(LogConfig log)
    {
        var options = new Dictionary<string, string>();
        if (log.Driver is null or "" || log.Driver == Options.DefaultLogDriver) foreach (var (key, value) in Options.DefaultLogOptions) options[key] = value;
        foreach (var (key, value) in log.Options) options[key] = value;
        return options;
    }

    private static Dictionary<string, string> Merge(IReadOnlyDictionary<string, string>? lower, IReadOnlyDictionary<string, string> upper)
    {
        var merged = lower is null ? [] : new Dictionary<string, string>(lower);
        foreach (var (key, value) in upper) merged[key] = value;
        return merged;
    }

    private async Task UndoCreateAsync(string id, string name, List<string> madeVolumes)
    {
        try
        {
            _services.Images?.Snapshotter.Remove(id);
            DropImages(id);
            if (Directory.Exists(_store.DirectoryOf(id))) _store.Delete(id);
            foreach (var volume in madeVolumes)
            {
                _services.Volumes?.Release(volume, id);
                await _services.Volumes!.RemoveAsync(volume, force: true, CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (HullException error)
        {
            _services.Log($"the remains of {name} could not be removed now: {error.FullMessage}");
        }
        finally
        {
            _names.TryRemove(KeyValuePair.Create(name, id));
        }
    }
}
