// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IBatchChain} from "../chain/IBatchChain.sol";
import {IProposerPolicy} from "../policy/IProposerPolicy.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";

/// @notice What a registry is made with. `batchChain`, `dispute` and `receiptCourt` may be predicted addresses.
struct StakeTerms {
    IERC20 token;
    IBatchChain batchChain;
    /// @dev Insurance pool: receives its part of what is slashed from proposers.
    address pool;
    /// @dev Only caller of `slashProposer`.
    address dispute;
    /// @dev Only caller of `slashPromise` and `lockUntil`; zero = nobody.
    address receiptCourt;
    /// @dev Its stake answers for receipts, and it alone admits and dismisses proposers; zero = nobody does.
    address sequencer;
    /// @dev Stake of a proposer, and what one conviction takes.
    uint256 minimumStake;
    /// @dev Longer than the longest window and than the claim period of receipts.
    uint64 unbondingSeconds;
    uint64 turnSeconds;
    /// @dev Longest finality window; also the delay of an admission or dismissal.
    uint64 windowSecondsMax;
    /// @dev Silence after which anyone with a proposer's stake may post; shorter than the deadline of forced entries.
    uint64 openAfterSeconds;
}

/// @notice One entry of the public record.
struct Slash {
    /// @dev Convicted proposer, or the sequencer that broke a promise.
    address staker;
    /// @dev 0 for a broken promise.
    uint64 batchNumber;
    uint64 slashedAt;
    /// @dev Challenger of the batch, or where the receipt court sent what it took.
    address beneficiary;
    /// @dev taken = burnt + reward + what went to the pool.
    uint128 taken;
    uint128 burnt;
    uint128 reward;
}

/// @title Stake of proposers and of the sequencer, and whose turn it is to post
/// @notice A stake is bonded, then unbonding, then withdrawn. All that is not withdrawn can be slashed.
///
/// Turns. Proposers that the sequencer admitted and that have their stake stand in an ordered set of at most ACTIVE_MAX.
/// Batch `number` is the turn of place (number + silence / turnSeconds) mod size, silence being the time since the last batch
/// was posted or dropped: whoever is silent costs one turn. After `openAfterSeconds` of silence, or after one turn while the
/// set is empty, anyone with a proposer's stake may post. Stake alone does not admit, because a batch can be valid and yet
/// not be the venue's log: posting one costs no stake and breaks the sequencer's promises (docs/adr/035).
///
/// Slashing. A conviction takes `minimumStake`, or what is left: half is burnt, rounded up, so that convicting oneself never
/// pays; the rest goes half to the challenger and half to the pool. Money moves in calls of their own (`burnSlashed`,
/// `payPool`, `payReward`; anyone may send them): a token that refuses a transfer must not save a fraudulent batch.
///
/// @dev Warning: what a proposer withdrew answers for nothing more. A late challenge after its unbonding finds no stake.
/// @dev Warning: the token must neither charge fees on transfers nor rebase. Tokens sent here without `deposit` belong to nobody.
contract StakeRegistry is IStakeRegistry, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using BitMaps for BitMaps.BitMap;

    event Deposited(address indexed staker, address indexed payer, uint256 amount);
    event UnbondRequested(address indexed staker, uint256 amount, uint64 releaseAt);
    event Withdrawn(address indexed staker, uint256 amount);
    event Locked(address indexed staker, uint64 until);
    event Admitted(address indexed proposer, uint64 admittedAt);
    event Dismissed(address indexed proposer, uint64 dismissedAt);
    event Joined(address indexed proposer, uint256 size);
    event Left(address indexed proposer, uint256 size);
    event ProposerSlashed(
        uint256 indexed index,
        address indexed proposer,
        uint64 indexed batchNumber,
        address challenger,
        uint256 burnt,
        uint256 reward,
        uint256 poolPart
    );
    event PromiseSlashed(uint256 indexed index, address indexed sequencer, uint256 amount, address recipient);
    event SlashedBurnt(uint256 amount);
    event PoolPaid(uint256 amount);
    event RewardPaid(address indexed challenger, uint256 amount);

    error AddressZero();
    error MinimumStakeZero();
    error UnbondingTooShort(uint64 unbondingSeconds);
    error TurnOutOfRange(uint64 turnSeconds);
    error AmountZero();
    error DepositMismatch(uint256 received, uint256 amount);
    error StakeTooSmall(uint256 bonded, uint256 amount);
    error NothingUnbonding(address staker);
    error StillUnbonding(uint64 releaseAt);
    error StillLocked(uint64 until);
    error BatchesNotResolved(uint64 number);
    error CallerNotSequencer(address caller);
    error CallerNotDispute(address caller);
    error CallerNotReceiptCourt(address caller);
    error NotTheSequencer(address staker);
    error AlreadyAdmitted(address proposer);
    error NotAdmitted(address proposer);
    error AlreadyDismissed(address proposer);
    error NotDismissed(address proposer);
    error CannotJoin(address proposer);
    error NothingToPay();

    /// @dev What one staker has here. Times in seconds.
    struct Stake {
        uint128 bonded;
        uint128 unbonding;
        uint64 releaseAt;
        uint64 lockedUntil;
        /// @dev Batches up to this number may be the staker's: they are final or dropped before he withdraws.
        uint64 resolvedUpTo;
        /// @dev Place in the active set + 1; 0 = not in it.
        uint32 place;
        /// @dev From when on he may join the active set; 0 = not admitted.
        uint64 admittedAt;
        /// @dev From when on anyone may remove him; 0 = not dismissed.
        uint64 dismissedAt;
    }

    /// @notice Most proposers that take turns at the same time.
    uint256 public constant ACTIVE_MAX = 32;
    /// @dev Tokens here can never move again.
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    IERC20 public immutable token;
    IBatchChain public immutable batchChain;
    address public immutable pool;
    address public immutable dispute;
    address public immutable receiptCourt;
    address public immutable sequencer;
    uint256 public immutable minimumStake;
    uint64 public immutable unbondingSeconds;
    uint64 public immutable turnSeconds;
    uint64 public immutable windowSecondsMax;
    uint64 public immutable openAfterSeconds;
    uint64 private immutable _deployedAt;

    mapping(address staker => Stake) private _stakes;
    address[] private _active;
    Slash[] private _slashes;
    /// @dev Final batches whose proposer has been slashed: a final number is never used again.
    BitMaps.BitMap private _slashedFinal;
    /// @notice Sum of all stakes.
    uint256 public totalStake;
    /// @notice Slashed and still to be burnt.
    uint256 public burnDue;
    /// @notice Slashed and still to be paid to the pool.
    uint256 public poolDue;
    /// @notice Still to be paid to a challenger.
    mapping(address challenger => uint256) public rewardDue;

    /// @param proposers admitted from the start: they take turns in the order in which their stakes arrive
    constructor(StakeTerms memory terms, address[] memory proposers) {
        if (
            address(terms.token) == address(0) || address(terms.batchChain) == address(0) || terms.pool == address(0)
                || terms.dispute == address(0)
        ) revert AddressZero();
        if (terms.minimumStake == 0) revert MinimumStakeZero();
        if (terms.unbondingSeconds <= terms.windowSecondsMax) revert UnbondingTooShort(terms.unbondingSeconds);
        if (terms.turnSeconds == 0 || terms.turnSeconds > terms.openAfterSeconds) {
            revert TurnOutOfRange(terms.turnSeconds);
        }
        token = terms.token;
        batchChain = terms.batchChain;
        pool = terms.pool;
        dispute = terms.dispute;
        receiptCourt = terms.receiptCourt;
        sequencer = terms.sequencer;
        minimumStake = terms.minimumStake;
        unbondingSeconds = terms.unbondingSeconds;
        turnSeconds = terms.turnSeconds;
        windowSecondsMax = terms.windowSecondsMax;
        openAfterSeconds = terms.openAfterSeconds;
        _deployedAt = uint64(block.timestamp);
        for (uint256 i = 0; i < proposers.length; ++i) {
            _admit(proposers[i], uint64(block.timestamp));
        }
    }

    // ── stake ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Bonds the caller's money; an admitted proposer that has enough joins the active set.
    function deposit(uint256 amount) external {
        depositFor(msg.sender, amount);
    }

    /// @notice Bonds the caller's money as `staker`'s stake.
    function depositFor(address staker, uint256 amount) public nonReentrant {
        if (staker == address(0)) revert AddressZero();
        if (amount == 0) revert AmountZero();
        uint256 balanceBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - balanceBefore;
        if (received != amount) revert DepositMismatch(received, amount);
        _stakes[staker].bonded += amount.toUint128();
        totalStake += amount;
        emit Deposited(staker, msg.sender, amount);
        if (_mayJoin(_stakes[staker])) _join(staker);
    }

    /// @notice Starts the unbonding of part of the caller's stake. A proposer that keeps less than the minimum leaves the
    /// active set for good: to return it must be admitted again.
    /// @dev One release time for all that unbonds: a further request moves it.
    function requestUnbond(uint256 amount) external nonReentrant {
        Stake storage stake = _stakes[msg.sender];
        if (amount == 0) revert AmountZero();
        if (amount > stake.bonded) revert StakeTooSmall(stake.bonded, amount);
        uint128 moved = uint128(amount);
        stake.bonded -= moved;
        stake.unbonding += moved;
        stake.releaseAt = uint64(block.timestamp) + unbondingSeconds;
        stake.resolvedUpTo = batchChain.lastNumber();
        emit UnbondRequested(msg.sender, amount, stake.releaseAt);
        if (stake.bonded < minimumStake) _leave(msg.sender, stake);
    }

    /// @notice Pays out what the caller has unbonded.
    function withdraw() external nonReentrant {
        Stake storage stake = _stakes[msg.sender];
        uint256 amount = stake.unbonding;
        if (amount == 0) revert NothingUnbonding(msg.sender);
        if (block.timestamp < stake.releaseAt) revert StillUnbonding(stake.releaseAt);
        if (block.timestamp < stake.lockedUntil) revert StillLocked(stake.lockedUntil);
        // Finality may be late: no batch that was posted before the request may still be open to a challenge. A number
        // beyond the chain's last was dropped.
        uint64 last = batchChain.lastNumber();
        uint64 needed = stake.resolvedUpTo < last ? stake.resolvedUpTo : last;
        if (batchChain.lastFinal() < needed) revert BatchesNotResolved(needed);
        stake.unbonding = 0;
        totalStake -= amount;
        emit Withdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    // ── who takes turns ────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Lets a proposer join once the longest window has passed.
    function admit(address proposer) external {
        if (msg.sender != sequencer) revert CallerNotSequencer(msg.sender);
        _admit(proposer, uint64(block.timestamp) + windowSecondsMax);
    }

    /// @notice Lets anyone remove a proposer once the longest window has passed. Its stake stays what it is.
    function dismiss(address proposer) external {
        if (msg.sender != sequencer) revert CallerNotSequencer(msg.sender);
        Stake storage stake = _stakes[proposer];
        if (stake.admittedAt == 0) revert NotAdmitted(proposer);
        if (stake.dismissedAt != 0) revert AlreadyDismissed(proposer);
        stake.dismissedAt = uint64(block.timestamp) + windowSecondsMax;
        emit Dismissed(proposer, stake.dismissedAt);
    }

    /// @notice Puts an admitted proposer with enough stake into the active set; a deposit does it too.
    function join(address proposer) external {
        if (!_mayJoin(_stakes[proposer])) revert CannotJoin(proposer);
        _join(proposer);
    }

    /// @notice Takes a dismissed proposer out of the active set.
    function removeDismissed(address proposer) external {
        Stake storage stake = _stakes[proposer];
        if (stake.dismissedAt == 0 || block.timestamp < stake.dismissedAt) revert NotDismissed(proposer);
        _leave(proposer, stake);
    }

    /// @inheritdoc IProposerPolicy
    function mayPost(address proposer, uint64 number) external view returns (bool) {
        if (_stakes[proposer].bonded < minimumStake) return false;
        uint256 silence = _silence();
        uint256 size = _active.length;
        if (silence >= (size == 0 ? turnSeconds : openAfterSeconds)) return true;
        return size > 0 && _active[_turn(number, silence, size)] == proposer;
    }

    /// @notice Whose turn it would be to post batch `number` now; zero while the set is empty.
    function turnOf(uint64 number) external view returns (address) {
        uint256 size = _active.length;
        return size == 0 ? address(0) : _active[_turn(number, _silence(), size)];
    }

    // ── slashing ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IStakeRegistry
    /// @dev Nothing here may revert for the dispute contract: a revert would keep the convicted batch in the chain. Also
    /// for stakers who have nothing left, and for final batches of which the proposer was slashed before (nothing happens).
    /// @dev Warning: that a batch which is not final is convicted once is the dispute contract's word: it drops the batch first.
    function slashProposer(address proposer, uint64 batchNumber, address challenger) external {
        if (msg.sender != dispute) revert CallerNotDispute(msg.sender);
        if (batchNumber <= batchChain.lastFinal()) {
            if (_slashedFinal.get(batchNumber)) return;
            _slashedFinal.set(batchNumber);
        }
        uint256 taken = _take(proposer, minimumStake);
        uint256 reward = taken / 4;
        uint256 poolPart = taken / 2 - reward;
        uint256 burnt = taken - reward - poolPart;
        burnDue += burnt;
        poolDue += poolPart;
        rewardDue[challenger] += reward;
        emit ProposerSlashed(_slashes.length, proposer, batchNumber, challenger, burnt, reward, poolPart);
        _slashes.push(
            Slash(
                proposer,
                batchNumber,
                uint64(block.timestamp),
                challenger,
                uint128(taken),
                uint128(burnt),
                uint128(reward)
            )
        );
        // Also when enough is left: a convicted proposer takes no more turns unless it is admitted again.
        _leave(proposer, _stakes[proposer]);
    }

    /// @inheritdoc IStakeRegistry
    function slashPromise(address staker, uint256 amount, address recipient)
        external
        nonReentrant
        returns (uint256 taken)
    {
        _requireCourtOver(staker);
        if (recipient == address(0)) revert AddressZero();
        taken = _take(staker, amount);
        emit PromiseSlashed(_slashes.length, staker, taken, recipient);
        _slashes.push(Slash(staker, 0, uint64(block.timestamp), recipient, uint128(taken), 0, uint128(taken)));
        token.safeTransfer(recipient, taken);
    }

    /// @inheritdoc IStakeRegistry
    /// @dev A lock only moves up.
    function lockUntil(address staker, uint64 time) external {
        _requireCourtOver(staker);
        if (time <= _stakes[staker].lockedUntil) return;
        _stakes[staker].lockedUntil = time;
        emit Locked(staker, time);
    }

    function burnSlashed() external nonReentrant {
        uint256 amount = burnDue;
        if (amount == 0) revert NothingToPay();
        burnDue = 0;
        emit SlashedBurnt(amount);
        token.safeTransfer(BURN_ADDRESS, amount);
    }

    function payPool() external nonReentrant {
        uint256 amount = poolDue;
        if (amount == 0) revert NothingToPay();
        poolDue = 0;
        emit PoolPaid(amount);
        token.safeTransfer(pool, amount);
    }

    /// @notice Pays a challenger's part to the challenger.
    function payReward(address challenger) external nonReentrant {
        uint256 amount = rewardDue[challenger];
        if (amount == 0) revert NothingToPay();
        rewardDue[challenger] = 0;
        emit RewardPaid(challenger, amount);
        token.safeTransfer(challenger, amount);
    }

    // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IStakeRegistry
    function stakeOf(address staker) external view returns (uint256) {
        Stake storage stake = _stakes[staker];
        return uint256(stake.bonded) + stake.unbonding;
    }

    function stakeDetails(address staker) external view returns (Stake memory) {
        return _stakes[staker];
    }

    /// @notice The proposers that take turns, in their order.
    function activeSet() external view returns (address[] memory) {
        return _active;
    }

    /// @notice Length of the public record.
    function slashCount() external view returns (uint256) {
        return _slashes.length;
    }

    function slashAt(uint256 index) external view returns (Slash memory) {
        return _slashes[index];
    }

    // ── internals ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _requireCourtOver(address staker) private view {
        if (msg.sender != receiptCourt) revert CallerNotReceiptCourt(msg.sender);
        if (staker != sequencer) revert NotTheSequencer(staker);
    }

    /// @dev Takes up to `amount`, bonded money first: what is unbonding does not shield a proposer's place.
    function _take(address staker, uint256 amount) private returns (uint256 taken) {
        Stake storage stake = _stakes[staker];
        uint256 bonded = stake.bonded;
        uint256 fromBonded = amount < bonded ? amount : bonded;
        uint256 rest = amount - fromBonded;
        uint256 unbonding = stake.unbonding;
        uint256 fromUnbonding = rest < unbonding ? rest : unbonding;
        stake.bonded = uint128(bonded - fromBonded);
        stake.unbonding = uint128(unbonding - fromUnbonding);
        taken = fromBonded + fromUnbonding;
        totalStake -= taken;
        if (stake.place != 0 && stake.bonded < minimumStake) _leave(staker, stake);
    }

    function _admit(address proposer, uint64 admittedAt) private {
        if (proposer == address(0)) revert AddressZero();
        Stake storage stake = _stakes[proposer];
        if (stake.admittedAt != 0) revert AlreadyAdmitted(proposer);
        stake.admittedAt = admittedAt;
        emit Admitted(proposer, admittedAt);
    }

    function _mayJoin(Stake storage stake) private view returns (bool) {
        return stake.place == 0 && stake.bonded >= minimumStake && stake.admittedAt != 0
            && block.timestamp >= stake.admittedAt && stake.dismissedAt == 0 && _active.length < ACTIVE_MAX;
    }

    function _join(address proposer) private {
        _active.push(proposer);
        _stakes[proposer].place = uint32(_active.length);
        emit Joined(proposer, _active.length);
    }

    /// @dev Ends the admission; the last of the set takes the place of one that was in it.
    function _leave(address proposer, Stake storage stake) private {
        stake.admittedAt = 0;
        stake.dismissedAt = 0;
        uint256 place = stake.place;
        if (place == 0) return;
        stake.place = 0;
        address last = _active[_active.length - 1];
        _active.pop();
        if (last != proposer) {
            _active[place - 1] = last;
            _stakes[last].place = uint32(place);
        }
        emit Left(proposer, _active.length);
    }

    /// @dev Seconds since a batch was posted or dropped. At genesis, since this contract stands.
    function _silence() private view returns (uint256) {
        uint64 since = batchChain.batch(batchChain.lastNumber()).postedAt;
        uint64 droppedAt = batchChain.lastDropAt();
        if (droppedAt > since) since = droppedAt;
        if (_deployedAt > since) since = _deployedAt;
        return block.timestamp - since;
    }

    function _turn(uint64 number, uint256 silence, uint256 size) private view returns (uint256) {
        return (number + silence / turnSeconds) % size;
    }
}
