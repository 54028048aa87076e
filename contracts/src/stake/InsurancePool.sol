// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Batch, IBatchChain} from "../chain/IBatchChain.sol";
import {ICustody} from "../custody/ICustody.sol";
import {Limits} from "../lib/Limits.sol";
import {InsuranceWitness, Shortfall} from "./Shortfall.sol";

/// @notice What a pool is made with. `batchChain`, `custody` and `escape` may be predicted addresses.
struct PoolTerms {
    IERC20 token;
    IBatchChain batchChain;
    address custody;
    /// @dev Only caller of `coverEscape`; zero = nobody.
    address escape;
    /// @dev Longest finality window.
    uint64 windowSecondsMax;
    /// @dev From the request to the first moment of redemption; longer than the longest window.
    uint64 cooldownSeconds;
    /// @dev How long a request can be redeemed.
    uint64 redeemSeconds;
}

/// @title Shares of the money that stands behind the ledger's insurance account
/// @notice Income: the pool's part of slashed stakes. Losses, in this order: bad debt beyond the insurance account's cash, shown
/// by a final root and paid into that account (`coverShortfall`); the shortfall of a venue that is wound up (`coverEscape`).
///
/// Leaving takes a request and a wait. Requested shares are held here and still bear gains and losses; they can be redeemed
/// from the end of the cooldown for `redeemSeconds`, and must be requested again afterwards. Nothing can be redeemed while a
/// posted state shows a shortfall that is not covered yet (`holdForShortfall`), nor after the venue froze until the escape
/// contract took what it needs.
///
/// @dev Warning: shares bear losses. A total loss leaves shares of almost no value; later deposits make many of them, and
/// after some total losses (about eight) the numbers no longer fit and the pool must be replaced.
/// @dev Warning: bad debt that no posted batch shows yet is known to those who follow the venue: whoever is in his redemption
/// time then may leave before it is posted.
/// @dev Warning: the token must neither charge fees on transfers nor rebase. Tokens sent here belong to the shares.
contract InsurancePool is ERC4626, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace256;

    /// @notice `until`: the last moment at which the shares can be redeemed.
    event RedeemRequested(address indexed owner, uint256 sharesAdded, uint256 shares, uint64 from, uint64 until);
    event RequestCancelled(address indexed owner, uint256 shares);
    event ShortfallCovered(uint64 indexed batchNumber, uint64 indexed queueIndex, uint256 amount);
    event Held(uint64 indexed batchNumber, bytes32 batchHash);
    event EscapeCovered(uint256 amount);
    event FreezeNoted(uint64 notedAt);

    error AddressZero();
    error CooldownTooShort(uint64 cooldownSeconds);
    error RedeemPeriodZero();
    error DepositMismatch(uint256 received, uint256 amount);
    error NoShares();
    error BatchNotPending(uint64 batchNumber);
    error BatchNotRecent(uint64 batchNumber);
    /// @notice Redemptions are stopped already, and for longer.
    error HeldForLaterBatch(uint64 heldNumber);
    error NothingToCover(uint64 batchNumber);
    error CallerNotEscape(address caller);
    error VenueNotFrozen();
    error FreezeAlreadyNoted();

    struct Request {
        uint256 shares;
        uint64 from;
        uint64 until;
    }

    /// @notice A shortfall is shown by one of this many last final batches: the newest state, and time to send it.
    uint64 public constant RECENT_BATCHES = 64;
    /// @notice Redemption opens this long after somebody noted the freeze, should the escape contract never come.
    uint64 public constant FREEZE_HOLD_SECONDS_MAX = 180 days;

    IBatchChain public immutable batchChain;
    ICustody public immutable custody;
    address public immutable escape;
    uint64 public immutable cooldownSeconds;
    uint64 public immutable redeemSeconds;

    mapping(address owner => Request) public requestOf;
    /// @notice Newest batch by which a shortfall was covered, or shown to be covered.
    uint64 public coveredNumber;
    /// @notice Posted batch whose state shows an uncovered shortfall; 0 = none.
    uint64 public heldNumber;
    bytes32 public heldHash;
    bool public escapeCovered;
    /// @notice When somebody noted that the venue is frozen; 0 = not noted.
    uint64 public freezeNotedAt;
    /// @dev Queue index of each payment → sum of all payments up to it.
    Checkpoints.Trace256 private _paid;

    constructor(PoolTerms memory terms) ERC20("Tidemark Insurance", "tmINS") ERC4626(terms.token) {
        if (
            address(terms.token) == address(0) || address(terms.batchChain) == address(0) || terms.custody == address(0)
        ) {
            revert AddressZero();
        }
        if (terms.cooldownSeconds <= terms.windowSecondsMax) revert CooldownTooShort(terms.cooldownSeconds);
        if (terms.redeemSeconds == 0) revert RedeemPeriodZero();
        batchChain = terms.batchChain;
        custody = ICustody(terms.custody);
        escape = terms.escape;
        cooldownSeconds = terms.cooldownSeconds;
        redeemSeconds = terms.redeemSeconds;
    }

    // ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Puts `shares` of the caller under the cooldown. What was requested before waits again with them.
    function requestRedeem(uint256 shares) external nonReentrant {
        Request storage request = requestOf[msg.sender];
        request.shares += shares;
        if (request.shares == 0) revert NoShares();
        request.from = uint64(block.timestamp) + cooldownSeconds;
        request.until = request.from + redeemSeconds;
        emit RedeemRequested(msg.sender, shares, request.shares, request.from, request.until);
        _transfer(msg.sender, address(this), shares);
    }

    /// @notice Gives all requested shares back to the caller.
    function cancelRequest() external nonReentrant {
        uint256 shares = requestOf[msg.sender].shares;
        if (shares == 0) revert NoShares();
        delete requestOf[msg.sender];
        emit RequestCancelled(msg.sender, shares);
        _transfer(address(this), msg.sender, shares);
    }

    /// @notice Shares of `owner` that can be redeemed now.
    function maxRedeem(address owner) public view override returns (uint256) {
        Request storage request = requestOf[owner];
        if (block.timestamp < request.from || block.timestamp > request.until || isHeld()) return 0;
        return request.shares;
    }

    /// @notice Whether nothing can be redeemed at the moment.
    function isHeld() public view returns (bool) {
        if (custody.frozen()) {
            return !escapeCovered && (freezeNotedAt == 0 || block.timestamp < freezeNotedAt + FREEZE_HOLD_SECONDS_MAX);
        }
        if (heldNumber == 0 || coveredNumber >= heldNumber || heldNumber > batchChain.lastNumber()) return false;
        // Another batch of this number: the one that was held for has been dropped.
        return batchChain.batch(heldNumber).batchHash == heldHash;
    }

    function maxDeposit(address) public view override returns (uint256) {
        return custody.frozen() ? 0 : type(uint256).max;
    }

    function maxMint(address) public view override returns (uint256) {
        return custody.frozen() ? 0 : type(uint256).max;
    }

    function deposit(uint256 assets, address receiver) public override nonReentrant returns (uint256) {
        return super.deposit(assets, receiver);
    }

    function mint(uint256 shares, address receiver) public override nonReentrant returns (uint256) {
        return super.mint(shares, receiver);
    }

    function withdraw(uint256 assets, address receiver, address owner) public override nonReentrant returns (uint256) {
        return super.withdraw(assets, receiver, owner);
    }

    function redeem(uint256 shares, address receiver, address owner) public override nonReentrant returns (uint256) {
        return super.redeem(shares, receiver, owner);
    }

    // ── losses ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Pays what bad debt exceeds the insurance account's cash by, in the state of a recent final batch, into that account.
    /// Payments that the state has not consumed yet are taken off. Where nothing is missing any more, it ends a hold.
    /// @dev Batches go up: a state older than the last one used says nothing new.
    function coverShortfall(uint64 batchNumber, InsuranceWitness calldata witness) external nonReentrant {
        if (batchNumber < coveredNumber || batchNumber + RECENT_BATCHES < batchChain.lastFinal()) {
            revert BatchNotRecent(batchNumber);
        }
        uint256 amount = _uncovered(batchChain.finalRoot(batchNumber), witness);
        if (amount == 0 && !(coveredNumber < heldNumber && heldNumber <= batchNumber)) {
            revert NothingToCover(batchNumber);
        }
        coveredNumber = batchNumber;
        amount = Math.min(amount, Math.min(totalAssets(), Limits.CASH_BOUND - 1));
        if (amount == 0) return;
        IERC20(asset()).forceApprove(address(custody), amount);
        uint64 index = custody.deposit(uint24(Limits.INSURANCE_ACCOUNT), amount);
        _paid.push(index, _paid.latest() + amount);
        emit ShortfallCovered(batchNumber, index, amount);
    }

    /// @notice Stops redemptions because a posted state, not final yet, shows a shortfall. Ends when the batch is dropped or
    /// when its shortfall, or that of a later one, is covered.
    function holdForShortfall(uint64 batchNumber, InsuranceWitness calldata witness) external nonReentrant {
        if (batchNumber <= batchChain.lastFinal()) revert BatchNotPending(batchNumber);
        // Or a smaller shortfall shown before could be held for instead, covered, and what follows left to those who stay.
        if (batchNumber < heldNumber && isHeld()) revert HeldForLaterBatch(heldNumber);
        Batch memory held = batchChain.batch(batchNumber);
        if (_uncovered(held.postStateRoot, witness) == 0) revert NothingToCover(batchNumber);
        heldNumber = batchNumber;
        heldHash = held.batchHash;
        emit Held(batchNumber, held.batchHash);
    }

    /// @notice Pays up to `amount` into the vault of a frozen venue, for the escape contract; redemptions are open afterwards.
    function coverEscape(uint256 amount) external nonReentrant returns (uint256 paid) {
        if (msg.sender != escape) revert CallerNotEscape(msg.sender);
        if (!custody.frozen()) revert VenueNotFrozen();
        escapeCovered = true;
        paid = Math.min(amount, totalAssets());
        emit EscapeCovered(paid);
        IERC20(asset()).safeTransfer(address(custody), paid);
    }

    /// @notice Starts the longest time that redemptions stay closed after a freeze.
    function noteFreeze() external {
        if (!custody.frozen()) revert VenueNotFrozen();
        if (freezeNotedAt != 0) revert FreezeAlreadyNoted();
        freezeNotedAt = uint64(block.timestamp);
        emit FreezeNoted(freezeNotedAt);
    }

    // ── internals ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Shortfall of the state less what was paid at queue indices that it has not consumed.
    function _uncovered(bytes32 stateRoot, InsuranceWitness calldata witness) private view returns (uint256) {
        (uint256 shortfall, uint64 inboundCursor) = Shortfall.read(stateRoot, witness);
        uint256 consumed = inboundCursor == 0 ? 0 : _paid.upperLookup(inboundCursor - 1);
        uint256 waiting = _paid.latest() - consumed;
        return shortfall > waiting ? shortfall - waiting : 0;
    }

    /// @dev Shares with six decimals more than the asset: whoever inflates the price of a share by a gift loses about a
    /// million times what rounding could take from the next depositor.
    function _decimalsOffset() internal pure override returns (uint8) {
        return 6;
    }

    function _transferIn(address from, uint256 assets) internal override {
        uint256 balanceBefore = totalAssets();
        super._transferIn(from, assets);
        uint256 received = totalAssets() - balanceBefore;
        if (received != assets) revert DepositMismatch(received, assets);
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        if (shares == 0 || assets == 0) revert NoShares();
        super._deposit(caller, receiver, assets, shares);
    }

    /// @dev The shares are those that the owner requested: they are held here.
    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        if (shares == 0) revert NoShares();
        if (caller != owner) _spendAllowance(owner, caller, shares);
        requestOf[owner].shares -= shares;
        _burn(address(this), shares);
        _transferOut(receiver, assets);
        emit Withdraw(caller, receiver, owner, assets, shares);
    }
}
